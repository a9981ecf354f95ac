//! What an object store answered, as an error of ours: with the object and the place, and never
//! with a credential.

use object_store::Error as StoreError;

use crate::error::{Error, ErrorKind};

/// Answers longer than this are cut.
const MAX_LEN: usize = 400;

/// An error of a request: what was tried, on which object, where, and what came of it.
pub(super) fn failed(act: &str, name: &str, place: &str, error: &StoreError) -> Error {
    let kind = kind_of(error);
    Error::new(
        kind,
        format!("cannot {act} `{name}` in {place}: {}", reason(error)),
    )
}

/// What a refusal means before a job has begun: whoever starts it must change something.
pub(super) fn refused(right: &str, place: &str, error: &StoreError) -> Error {
    let why = reason(error);
    // A list hides the status in its text.
    let is = |status: &str| why.contains(&format!("status code: {status}"));
    let denied = matches!(
        error,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }
    );
    if denied || is("401") || is("403") {
        Error::invalid(format!(
            "{place}: the credentials are wrong, or do not give the right to {right} ({why})"
        ))
    } else if matches!(error, StoreError::NotFound { .. }) || is("404") {
        Error::invalid(format!("{place}: there is no such bucket ({why})"))
    } else {
        Error::new(
            kind_of(error),
            format!("{place}: whether there is the right to {right} is unknown: {why}"),
        )
    }
}

/// An error of a request that took too long.
pub(super) fn late(act: &str, name: &str, place: &str) -> Error {
    Error::unavailable(format!(
        "cannot {act} `{name}` in {place}: no answer in time"
    ))
}

/// Rights that are taken away while a job runs may come back; what the store cannot do at all does not.
fn kind_of(error: &StoreError) -> ErrorKind {
    match error {
        StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

/// The store's own words, without what a request was signed with.
///
/// An address may carry a signature in its query; the document of a refusal may repeat what was
/// signed, so that only its code and message are shown.
pub(super) fn reason(error: &StoreError) -> String {
    scrubbed(&error.to_string())
}

fn scrubbed(text: &str) -> String {
    let (head, document) = match text.find('<') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let mut words: Vec<&str> = head
        .split_whitespace()
        .map(|word| word.split('?').next().unwrap_or_default())
        .collect();
    words.extend(
        ["Code", "Message"]
            .iter()
            .filter_map(|tag| element(document, tag)),
    );
    let mut shown = words.join(" ");
    if let Some((end, _)) = shown.char_indices().nth(MAX_LEN) {
        shown.truncate(end);
        shown.push_str(" ..");
    }
    shown
}

/// The text of the first element of this name in an XML document.
fn element<'a>(document: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{tag}>"))?;
    let (text, _) = rest.split_once("</")?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_signs_a_request_is_never_shown() {
        for (text, expected) in [
            (
                "Error performing PUT https://a.blob.example/c/k?sig=SECRET&se=1 in 2ms",
                "Error performing PUT https://a.blob.example/c/k in 2ms",
            ),
            (
                "403: <?xml?><Error><Code>SignatureDoesNotMatch</Code><Message>It does not.</Message>\
                 <StringToSign>SECRET</StringToSign></Error>",
                "403: SignatureDoesNotMatch It does not.",
            ),
            ("connection refused", "connection refused"),
        ] {
            assert_eq!(scrubbed(text), expected);
        }
        assert!(scrubbed(&"é".repeat(2 * MAX_LEN)).len() < 3 * MAX_LEN);
    }
}
