//! Errors that say where in a body they are.

use domain::Unreadable;

/// The place lies in the body, or right behind it.
pub(crate) fn assert_inside(body: &[u8], broken: &Unreadable) {
    let mut lines = body.split(|byte| *byte == b'\n');
    let line = broken.line.checked_sub(1).and_then(|at| lines.nth(at));
    let line = line.unwrap_or_else(|| panic!("no line {}: {broken}", broken.line));
    assert!((1..=line.len() + 1).contains(&broken.column), "no column {}: {broken}", broken.column);
    assert!(broken.detail.len() <= 200, "{broken}");
}
