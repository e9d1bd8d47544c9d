//! Entries by COPY in binary: for a whole range, half the work of rows.
//!
//! COPY takes no parameters, so nothing of a client's may be in the statement: ids, times and
//! numbers of ours only. An error leaves the session out of step; it must not be used again.

use domain::StoredEntry;
use futures_util::TryStreamExt as _;
use sqlx::PgConnection;

use super::rows;

/// What stands before the first tuple: the signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Gives `each` every entry that the query finds, whose columns are [`rows::COLUMNS`].
pub(super) async fn copy(
    db: &mut PgConnection,
    query: &str,
    mut each: impl FnMut(&StoredEntry<'_>),
) -> sqlx::Result<()> {
    let statement = format!("copy ({query}) to stdout (format binary)");
    let mut messages = db.copy_out_raw(&statement).await?;
    let mut before = HEADER;
    while let Some(message) = messages.try_next().await? {
        let mut bytes = message.strip_prefix(before).ok_or_else(broken)?;
        before = b"";
        while let Some(tuple) = tuple(&mut bytes)? {
            each(&rows::entry(|column| Ok(tuple[column]))?);
        }
    }
    Ok(())
}

/// Cuts the next tuple off; `None` at the end of a message or of all.
fn tuple<'b>(bytes: &mut &'b [u8]) -> sqlx::Result<Option<[Option<&'b [u8]>; rows::FIELDS]>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let fields = i16::from_be_bytes(take(bytes)?);
    // The end is told by a number of fields that no tuple has.
    if fields == -1 && bytes.is_empty() {
        return Ok(None);
    }
    if usize::try_from(fields) != Ok(rows::FIELDS) {
        return Err(broken());
    }
    let mut tuple = [None; rows::FIELDS];
    for field in &mut tuple {
        let len = i32::from_be_bytes(take(bytes)?);
        if len == -1 {
            continue;
        }
        let len = usize::try_from(len).map_err(|_| broken())?;
        let (value, rest) = bytes.split_at_checked(len).ok_or_else(broken)?;
        (*field, *bytes) = (Some(value), rest);
    }
    Ok(Some(tuple))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> sqlx::Result<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk().ok_or_else(broken)?;
    *bytes = rest;
    Ok(*taken)
}

fn broken() -> sqlx::Error {
    sqlx::Error::Protocol("COPY sent what is not in its binary format".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_are_cut_off_one_after_the_other_until_the_end() -> sqlx::Result<()> {
        let mut message = Vec::new();
        for _ in 0..2 {
            message.extend(18_i16.to_be_bytes());
            message.extend(2_i32.to_be_bytes());
            message.extend(b"ab");
            message.extend([0xff; 4].repeat(17));
        }
        let mut bytes = &message[..];
        for _ in 0..2 {
            let tuple = tuple(&mut bytes)?;
            assert_eq!(tuple.map(|tuple| (tuple[0], tuple[17])), Some((Some(&b"ab"[..]), None)));
        }
        assert_eq!(tuple(&mut bytes)?, None);
        assert_eq!(tuple(&mut &[0xff, 0xff][..])?, None);
        for cut in 1..message.len() / 2 {
            assert!(tuple(&mut &message[..cut]).is_err(), "{cut}");
        }
        assert!(tuple(&mut &[0, 17, 0][..]).is_err());
        Ok(())
    }
}
