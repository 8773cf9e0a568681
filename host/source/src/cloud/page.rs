//! A page of a bucket's listing, as the XML API writes it.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

/// What a page is called, and ends with.
const ROOT: &[u8] = b"ListBucketResult";

/// An object as it is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub key: String,
    /// Counts up with every write. Empty where the listing does not say.
    pub generation: String,
    /// Without quotes.
    pub e_tag: String,
    pub size: u64,
}

/// Why an answer is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It is no XML.
    #[error(transparent)]
    Xml(#[from] quick_xml::Error),
    /// Its end is missing.
    #[error("it has no end")]
    Cut,
    /// An object is not told whole.
    #[error("an object is without {what}: `{key}`")]
    Object {
        /// What is missing.
        what: &'static str,
        /// Its name, as far as it is known.
        key: String,
    },
    /// It goes on where it has been.
    #[error("it goes on with a page that was there before")]
    Repeated,
    /// It goes on and on.
    #[error("a page has more than {most} bytes")]
    TooLong {
        /// So many are read.
        most: usize,
    },
}

/// The objects of a page, and what asks for the next one.
pub(super) fn parse(page: &[u8]) -> Result<(Vec<Found>, Option<String>), PageError> {
    match parse_whole(page) {
        // Wherever it is cut.
        Err(PageError::Xml(_)) if !page.trim_ascii_end().ends_with(b"ListBucketResult>") => {
            Err(PageError::Cut)
        }
        parsed => parsed,
    }
}

fn parse_whole(page: &[u8]) -> Result<(Vec<Found>, Option<String>), PageError> {
    let mut reader = Reader::from_reader(page);
    let (mut found, mut next) = (Vec::new(), None);
    let (mut object, mut size) = (Found::default(), None);
    let mut has_ended = false;
    // Text between two tags, to the byte: names may begin and end with white space.
    let mut text = String::new();
    loop {
        match reader.read_event()? {
            Event::Start(tag) => {
                text.clear();
                if tag.local_name().as_ref() == b"Contents" {
                    (object, size) = (Found::default(), None);
                }
            }
            Event::Text(piece) => text.push_str(&piece.decode().map_err(quick_xml::Error::from)?),
            Event::CData(piece) => text.push_str(&piece.decode().map_err(quick_xml::Error::from)?),
            Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                Some(character) => text.push(character),
                None => {
                    let name = reference.decode().map_err(quick_xml::Error::from)?;
                    text.push_str(resolve_xml_entity(&name).unwrap_or_default());
                }
            },
            Event::End(tag) => match tag.local_name().as_ref() {
                b"Key" => object.key = std::mem::take(&mut text),
                b"Generation" => object.generation = std::mem::take(&mut text),
                b"ETag" => object.e_tag = text.trim_matches('"').to_owned(),
                b"Size" => size = text.trim().parse().ok(),
                b"Contents" => {
                    let told = std::mem::take(&mut object);
                    let missing = |what| PageError::Object { what, key: told.key.clone() };
                    let size = size.take().ok_or_else(|| missing("a size"))?;
                    if told.key.is_empty() {
                        return Err(missing("a name"));
                    }
                    found.push(Found { size, ..told });
                }
                b"NextContinuationToken" => {
                    next = Some(std::mem::take(&mut text)).filter(|token| !token.is_empty());
                }
                ROOT => has_ended = true,
                _ => {}
            },
            Event::Empty(tag) if tag.local_name().as_ref() == ROOT => has_ended = true,
            Event::Eof if has_ended => return Ok((found, next)),
            Event::Eof => return Err(PageError::Cut),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_objects_to_the_byte() {
        let page = b"<?xml version='1.0'?>\n<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>\
            <Name>lake</Name><Contents><Key> a//b &amp; &lt;c&#62;\n.csv </Key>\
            <Generation>17</Generation><ETag>&quot;abc&quot;</ETag><Size>3</Size>\
            <Owner><ID>x</ID></Owner></Contents>\n <Contents><Key>../[x]/</Key><ETag>\"d\"</ETag>\
            <Size>0</Size></Contents><NextContinuationToken>t=</NextContinuationToken></ListBucketResult>";
        let (found, next) = parse(page).expect("a page");
        let object = |key: &str, generation: &str, e_tag: &str, size| Found {
            key: key.to_owned(),
            generation: generation.to_owned(),
            e_tag: e_tag.to_owned(),
            size,
        };
        let wanted = [object(" a//b & <c>\n.csv ", "17", "abc", 3), object("../[x]/", "", "d", 0)];
        assert_eq!((found.as_slice(), next.as_deref()), (&wanted[..], Some("t=")));
        for end in 0..page.len() {
            assert!(matches!(parse(&page[..end]), Err(PageError::Cut)), "{end}");
        }
        assert!(parse(b"<a><b></a>").is_err());
    }

    #[test]
    fn an_object_is_told_whole_or_the_page_is_none() {
        for object in ["<Key>a</Key>", "<Size>1</Size>", "<Key>a</Key><Size>one</Size>"] {
            // The one before lends it nothing.
            let page = format!(
                "<ListBucketResult><Contents><Key>0</Key><Size>9</Size></Contents>\
                 <Contents>{object}</Contents></ListBucketResult>"
            );
            let error = parse(page.as_bytes()).expect_err("it is not whole");
            assert!(matches!(error, PageError::Object { .. }), "{object}: {error}");
        }
        assert_eq!(parse(b"<ListBucketResult/>").expect("a page").0, []);
    }
}
