//! The pure half of an export: pieces, and what they join to, wherever it breaks.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FORMATS: [ExportFormat; 3] = [ExportFormat::Ndjson, ExportFormat::Json, ExportFormat::Csv];

/// Text with all that means something to one of the formats.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        proptest::sample::select(vec![
            "\"",
            "\\",
            "{",
            "}",
            "[",
            "]",
            ",",
            "\n",
            "\r\n",
            "\r",
            "{\"end\":",
            "\\\"",
            "日本",
            "\"\"",
        ])
        .prop_map(str::to_owned),
        "[a-z]{0,4}",
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

/// Entries numbered on, with steps between the numbers.
fn logs() -> impl Strategy<Value = Vec<(u64, String)>> {
    proptest::collection::vec((1..3_u64, hostile()), 0..6).prop_map(|entries| {
        let mut seq = 0;
        let numbered = entries.into_iter().map(|(step, text)| {
            seq += step;
            (seq, text)
        });
        numbered.collect()
    })
}

fn id(seq: u64) -> String {
    format!("00000000-0000-7000-8000-{seq:012}")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn entry(seq: u64, text: &str) -> Value {
    json!({"id": id(seq), "seq": seq, "message": text, "after": {"list": [text, {}], text: []}})
}

/// The export as the service sends it.
fn export(format: ExportFormat, log: &[(u64, String)]) -> Vec<u8> {
    let range = Range { first_seq: Some(1), last_seq: log.last().map(|(seq, _)| *seq) };
    let entries: Vec<_> = log.iter().map(|(seq, text)| entry(*seq, text).to_string()).collect();
    match format {
        ExportFormat::Json if entries.is_empty() => b"[\n]\n".to_vec(),
        ExportFormat::Json => format!("[\n{}\n]\n", entries.join(",\n")).into_bytes(),
        ExportFormat::Ndjson => {
            let lines: String = entries.iter().flat_map(|entry| [entry, "\n"]).collect();
            let sha256 = format!("{:x}", <sha2::Sha256 as sha2::Digest>::digest(&lines));
            let end = EndRecord { end: Facts { rows: log.len() as u64, range, sha256 } };
            format!("{lines}{}\n", serde_json::to_string(&end).unwrap()).into_bytes()
        }
        ExportFormat::Csv => {
            let row =
                |(seq, text): &(u64, String)| format!("{},{seq},{}\r\n", id(*seq), quoted(text));
            let rows: String = log.iter().map(row).collect();
            format!("id,seq,message\r\n{rows}").into_bytes()
        }
    }
}

/// All pieces of bytes that come in chunks of these lengths, and whether they may end there.
fn split(
    format: ExportFormat,
    bytes: &[u8],
    mut lens: impl Iterator<Item = usize>,
) -> Result<(Vec<Vec<u8>>, bool), Malformed> {
    let mut splitter = Splitter::new(format);
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = lens.next().unwrap_or(usize::MAX).min(rest.len());
        splitter.push(&rest[..len]);
        rest = &rest[len..];
        while let Some(piece) = splitter.next()? {
            let (Piece::Header(bytes) | Piece::Entry(bytes) | Piece::End(bytes)) = piece;
            pieces.push(bytes.to_vec());
        }
    }
    Ok((pieces, splitter.may_end()))
}

/// Takes an answer into what came before; gives what it added, or what is wrong with it.
fn take(
    joined: &mut Joined,
    format: ExportFormat,
    range: Range,
    bytes: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    Incoming::new(format).take(bytes, joined, range, &mut out).map(|_| out)
}

proptest! {
    #[test]
    fn chunks_make_no_difference(
        log in logs(),
        lens in proptest::collection::vec(0..40_usize, 0..40),
    ) {
        for format in FORMATS {
            let export = export(format, &log);
            let (whole, may_end) = split(format, &export, std::iter::empty())?;
            let head_and_end = usize::from(format != ExportFormat::Json);
            prop_assert_eq!(whole.len(), log.len() + head_and_end);
            prop_assert!(may_end);
            prop_assert_eq!(&split(format, &export, lens.iter().copied())?, &(whole.clone(), true));
            prop_assert_eq!(split(format, &export, std::iter::repeat(1))?, (whole, true));
        }
    }

    #[test]
    fn a_cut_export_gives_its_beginning_and_is_seldom_taken_for_whole(log in logs()) {
        for format in FORMATS {
            let export = export(format, &log);
            let (whole, _) = split(format, &export, std::iter::empty())?;
            for cut in 0..export.len() {
                let (pieces, may_end) = split(format, &export[..cut], std::iter::empty())?;
                prop_assert!(whole.starts_with(&pieces));
                match format {
                    ExportFormat::Ndjson => prop_assert!(!may_end),
                    ExportFormat::Json => prop_assert_eq!(may_end, cut == export.len() - 1),
                    // After a record CSV may always end: its bytes alone cannot tell.
                    ExportFormat::Csv => {
                        let len: usize = pieces.iter().map(Vec::len).sum();
                        prop_assert_eq!(may_end, cut > 0 && len == cut);
                    }
                }
            }
        }
    }

    #[test]
    fn what_broke_and_went_on_is_what_did_not_break(log in logs(), at in 0.0..1.0_f64) {
        for format in FORMATS {
            let uncut = export(format, &log);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of a small number")]
            let cut = (at * uncut.len() as f64) as usize;
            let range = Range { first_seq: Some(1), last_seq: log.last().map(|(seq, _)| *seq) };
            let mut joined = Joined::new(format, false);
            let mut out = take(&mut joined, format, range, &uncut[..cut]).unwrap();
            let from = usize::try_from(joined.rows()).unwrap();
            let last_id = from.checked_sub(1).map(|last| id(log[last].0));
            prop_assert_eq!(joined.last_id(), last_id.as_deref());
            out.extend(take(&mut joined, format, range, &export(format, &log[from..])).unwrap());
            joined.finish(range, &mut out);
            prop_assert_eq!(String::from_utf8(out), String::from_utf8(uncut));
            if format == ExportFormat::Ndjson {
                prop_assert!(verify(&export(format, &log)[..]).is_ok());
            }
        }
    }

    #[test]
    fn a_saved_export_that_differs_anywhere_is_not_whole(log in logs(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut export = export(ExportFormat::Ndjson, &log);
        let at = at.index(export.len());
        prop_assert!(verify(&export[..at]).is_err());
        let was = std::mem::replace(&mut export[at], byte);
        // The numbers of the range are said, not hashed; and a digit of the hash has two cases.
        let told = &export[export.len() - 1 - 120.min(export.len() - 1)..];
        if was != byte && verify(&export[..]).is_ok() {
            prop_assert!(at + told.len() >= export.len(), "{}", String::from_utf8_lossy(&export));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, lens in proptest::collection::vec(1..9_usize, 0..9)) {
        for format in FORMATS {
            let _ = split(format, &bytes, lens.iter().copied());
            let _ = take(&mut Joined::new(format, true), format, Range::default(), &bytes);
        }
        let _ = verify(&bytes[..]);
    }
}

#[test]
fn an_array_is_read_whatever_white_space_it_has() {
    let entry = br#"{"id":"a","seq":1,"b":[{"c":"]}\\"}]}"#;
    let text = String::from_utf8(entry.to_vec()).unwrap();
    for array in [format!("[{text},{text}]"), format!(" [ {text}\r\n ,\t{text} ] \n")] {
        let (pieces, may_end) =
            split(ExportFormat::Json, array.as_bytes(), std::iter::repeat(1)).unwrap();
        assert_eq!((pieces, may_end), (vec![entry.to_vec(), entry.to_vec()], true));
    }
    assert_eq!(split(ExportFormat::Json, b"[]", std::iter::empty()), Ok((Vec::new(), true)));
}

#[test]
fn what_is_no_export_is_refused() {
    for (format, bytes) in [
        (ExportFormat::Json, &b"<html>"[..]),
        (ExportFormat::Json, b"{\"id\":1}"),
        (ExportFormat::Json, b"[1]"),
        (ExportFormat::Json, b"[{},]"),
        (ExportFormat::Json, b"[{}]x"),
        (ExportFormat::Ndjson, b"{\"end\":{}}\nx"),
        (ExportFormat::Csv, b"id,seq\n"),
    ] {
        let split = split(format, bytes, std::iter::empty());
        assert_eq!(split, Err(Malformed::Unexpected), "{}", String::from_utf8_lossy(bytes));
    }
    for (format, open) in
        [(ExportFormat::Ndjson, "x"), (ExportFormat::Json, "[{\""), (ExportFormat::Csv, "\"")]
    {
        let endless = format!("{open}{}", "x".repeat(PIECE_BYTES_MAX));
        let split = split(format, endless.as_bytes(), std::iter::repeat(65_536));
        assert_eq!(split, Err(Malformed::TooLong));
    }
}

#[test]
fn an_entry_twice_or_missing_is_noticed() {
    let range = Range { first_seq: Some(1), last_seq: Some(9) };
    let line = |seq| format!("{}\n", entry(seq, ""));
    let joined = |gapless, seqs: &[u64]| {
        let lines: String = seqs.iter().map(|seq| line(*seq)).collect();
        let mut joined = Joined::new(ExportFormat::Ndjson, gapless);
        take(&mut joined, ExportFormat::Ndjson, range, lines.as_bytes())
            .map_err(|error| error.downcast::<Mismatch>().unwrap())
    };
    assert!(joined(true, &[1, 2, 3]).is_ok());
    assert!(joined(false, &[2, 5]).is_ok());
    assert_eq!(joined(true, &[2]), Err(Mismatch::Gap));
    assert_eq!(joined(true, &[1, 3]), Err(Mismatch::Gap));
    for gapless in [true, false] {
        assert_eq!(joined(gapless, &[1, 1]), Err(Mismatch::Disorder));
        assert_eq!(joined(gapless, &[1, 2, 1]), Err(Mismatch::Disorder));
    }
    assert_eq!(
        take(
            &mut Joined::new(ExportFormat::Ndjson, false),
            ExportFormat::Ndjson,
            range,
            b"{\"seq\":1}\n"
        )
        .unwrap_err()
        .downcast::<Mismatch>()
        .unwrap(),
        Mismatch::Unreadable
    );
}

#[test]
fn entries_beyond_the_end_are_left_out() {
    let range = Range { first_seq: Some(1), last_seq: Some(2) };
    let log: Vec<_> = (1..=5).map(|seq| (seq, String::new())).collect();
    for format in FORMATS {
        let mut joined = Joined::new(format, true);
        let mut out = Vec::new();
        let taken = Incoming::new(format).take(&export(format, &log), &mut joined, range, &mut out);
        assert_eq!((taken.unwrap(), joined.rows()), (Taken::Beyond, 2));
        joined.finish(range, &mut out);
        assert_eq!(out, export(format, &log[..2]));
    }
}
