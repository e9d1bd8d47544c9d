//! The properties hold for everything that was ever kept in the corpora of the fuzz targets.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use properties::{ALL, Property};

/// Of one corpus: it grows by findings, not by all that a fuzzer meets.
const FILES_MAX: usize = 100;
/// Of one file: an input is cut down to what it shows.
const BYTES_MAX: u64 = 4 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The corpus of a property, by name.
fn corpus(property: Property) -> Vec<PathBuf> {
    let folder = fuzz().join("corpus").join(property.name);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(name: &str) {
    let property = properties::named(name);
    let broken = corpus(property).into_iter().filter(|file| {
        let bytes = fs::read(file).unwrap();
        catch_unwind(|| (property.hold)(&bytes)).is_err()
    });
    assert_eq!(broken.collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

/// A test for each property, and one that there is a test for each.
macro_rules! replays {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_property_is_replayed() {
            let replayed = BTreeSet::from([$(stringify!($name)),*]);
            assert_eq!(replayed, ALL.iter().map(|property| property.name).collect());
        }
    };
}

replays!(batch, bulk_answer, csv, cursor, entry, message, pieces, query);

#[test]
fn every_property_has_a_target_and_a_small_corpus() {
    let targets = fs::read_dir(fuzz().join("fuzz_targets")).unwrap();
    let targets: BTreeSet<_> = targets.map(|file| file.unwrap().file_name()).collect();
    let expected = ALL.iter().map(|property| format!("{}.rs", property.name).into());
    assert_eq!(targets, expected.collect());
    for property in ALL {
        let files = corpus(property);
        assert!((1..=FILES_MAX).contains(&files.len()), "{}: {}", property.name, files.len());
        for file in files {
            assert!(fs::metadata(&file).unwrap().len() <= BYTES_MAX, "{}", file.display());
        }
    }
}

/// Old messages may lie in a queue for two weeks: a fuzzer begins with what they look like.
#[test]
fn the_golden_messages_are_in_the_corpus() {
    let kept: Vec<_> =
        corpus(properties::named("message")).iter().map(|file| fs::read(file).unwrap()).collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/tests/golden");
    for file in fs::read_dir(golden).unwrap() {
        let path = file.unwrap().path();
        assert!(kept.contains(&fs::read(&path).unwrap()), "{}", path.display());
    }
}
