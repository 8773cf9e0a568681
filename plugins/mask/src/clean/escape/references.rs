//! The names that HTML gives to the signs and letters that are in what is found.

/// Letters of Europe, signs of ASCII, spaces, dashes, and what is not seen, by their names in order.
#[rustfmt::skip]
const NAMED: &[(&[u8], char)] = &[
    (b"AElig", 'Æ'), (b"Aacute", 'Á'), (b"Abreve", 'Ă'), (b"Acirc", 'Â'), (b"Agrave", 'À'), (b"Amacr", 'Ā'),
    (b"Aogon", 'Ą'), (b"Aring", 'Å'), (b"Atilde", 'Ã'), (b"Auml", 'Ä'), (b"Cacute", 'Ć'), (b"Ccaron", 'Č'),
    (b"Ccedil", 'Ç'), (b"Ccirc", 'Ĉ'), (b"Cdot", 'Ċ'), (b"Dcaron", 'Ď'), (b"Dstrok", 'Đ'), (b"ENG", 'Ŋ'),
    (b"ETH", 'Ð'), (b"Eacute", 'É'), (b"Ecaron", 'Ě'), (b"Ecirc", 'Ê'), (b"Edot", 'Ė'), (b"Egrave", 'È'),
    (b"Emacr", 'Ē'), (b"Eogon", 'Ę'), (b"Euml", 'Ë'), (b"Gbreve", 'Ğ'), (b"Gcedil", 'Ģ'), (b"Gcirc", 'Ĝ'),
    (b"Gdot", 'Ġ'), (b"Hcirc", 'Ĥ'), (b"Hstrok", 'Ħ'), (b"IJlig", 'Ĳ'), (b"Iacute", 'Í'), (b"Icirc", 'Î'),
    (b"Idot", 'İ'), (b"Igrave", 'Ì'), (b"Imacr", 'Ī'), (b"Iogon", 'Į'), (b"Itilde", 'Ĩ'), (b"Iuml", 'Ï'),
    (b"Jcirc", 'Ĵ'), (b"Kcedil", 'Ķ'), (b"Lacute", 'Ĺ'), (b"Lcaron", 'Ľ'), (b"Lcedil", 'Ļ'), (b"Lmidot", 'Ŀ'),
    (b"Lstrok", 'Ł'), (b"Nacute", 'Ń'), (b"Ncaron", 'Ň'), (b"Ncedil", 'Ņ'), (b"NewLine", '\n'),
    (b"NoBreak", '\u{2060}'), (b"Ntilde", 'Ñ'), (b"OElig", 'Œ'), (b"Oacute", 'Ó'), (b"Ocirc", 'Ô'),
    (b"Odblac", 'Ő'), (b"Ograve", 'Ò'), (b"Omacr", 'Ō'), (b"Oslash", 'Ø'), (b"Otilde", 'Õ'), (b"Ouml", 'Ö'),
    (b"Racute", 'Ŕ'), (b"Rcaron", 'Ř'), (b"Rcedil", 'Ŗ'), (b"Sacute", 'Ś'), (b"Scaron", 'Š'),
    (b"Scedil", 'Ş'), (b"Scirc", 'Ŝ'), (b"THORN", 'Þ'), (b"Tab", '\t'), (b"Tcaron", 'Ť'), (b"Tcedil", 'Ţ'),
    (b"Tstrok", 'Ŧ'), (b"Uacute", 'Ú'), (b"Ubreve", 'Ŭ'), (b"Ucirc", 'Û'), (b"Udblac", 'Ű'), (b"Ugrave", 'Ù'),
    (b"Umacr", 'Ū'), (b"Uogon", 'Ų'), (b"Uring", 'Ů'), (b"Utilde", 'Ũ'), (b"Uuml", 'Ü'), (b"Wcirc", 'Ŵ'),
    (b"Yacute", 'Ý'), (b"Ycirc", 'Ŷ'), (b"Yuml", 'Ÿ'), (b"Zacute", 'Ź'), (b"Zcaron", 'Ž'), (b"Zdot", 'Ż'),
    (b"ZeroWidthSpace", '\u{200b}'), (b"aacute", 'á'), (b"abreve", 'ă'), (b"acirc", 'â'), (b"aelig", 'æ'),
    (b"agrave", 'à'), (b"amacr", 'ā'), (b"aogon", 'ą'), (b"apos", '\''), (b"aring", 'å'), (b"ast", '*'),
    (b"atilde", 'ã'), (b"auml", 'ä'), (b"bsol", '\\'), (b"cacute", 'ć'), (b"ccaron", 'č'), (b"ccedil", 'ç'),
    (b"ccirc", 'ĉ'), (b"cdot", 'ċ'), (b"colon", ':'), (b"comma", ','), (b"commat", '@'),
    (b"dash", '\u{2010}'), (b"dcaron", 'ď'), (b"dollar", '$'), (b"dstrok", 'đ'), (b"eacute", 'é'),
    (b"ecaron", 'ě'), (b"ecirc", 'ê'), (b"edot", 'ė'), (b"egrave", 'è'), (b"emacr", 'ē'),
    (b"emsp", '\u{2003}'), (b"emsp13", '\u{2004}'), (b"emsp14", '\u{2005}'), (b"eng", 'ŋ'),
    (b"ensp", '\u{2002}'), (b"eogon", 'ę'), (b"equals", '='), (b"eth", 'ð'), (b"euml", 'ë'), (b"excl", '!'),
    (b"gbreve", 'ğ'), (b"gcirc", 'ĝ'), (b"gdot", 'ġ'), (b"grave", '`'), (b"gt", '>'), (b"hairsp", '\u{200a}'),
    (b"hcirc", 'ĥ'), (b"horbar", '\u{2015}'), (b"hstrok", 'ħ'), (b"hyphen", '\u{2010}'), (b"iacute", 'í'),
    (b"icirc", 'î'), (b"igrave", 'ì'), (b"ijlig", 'ĳ'), (b"imacr", 'ī'), (b"inodot", 'ı'), (b"iogon", 'į'),
    (b"itilde", 'ĩ'), (b"iuml", 'ï'), (b"jcirc", 'ĵ'), (b"kcedil", 'ķ'), (b"lacute", 'ĺ'), (b"lbrace", '{'),
    (b"lbrack", '['), (b"lcaron", 'ľ'), (b"lcedil", 'ļ'), (b"lcub", '{'), (b"lmidot", 'ŀ'), (b"lowbar", '_'),
    (b"lpar", '('), (b"lrm", '\u{200e}'), (b"lsqb", '['), (b"lstrok", 'ł'), (b"lt", '<'),
    (b"mdash", '\u{2014}'), (b"minus", '\u{2212}'), (b"nacute", 'ń'), (b"nbsp", '\u{a0}'), (b"ncaron", 'ň'),
    (b"ncedil", 'ņ'), (b"ndash", '\u{2013}'), (b"ntilde", 'ñ'), (b"num", '#'), (b"numsp", '\u{2007}'),
    (b"oacute", 'ó'), (b"ocirc", 'ô'), (b"odblac", 'ő'), (b"oelig", 'œ'), (b"ograve", 'ò'), (b"omacr", 'ō'),
    (b"oslash", 'ø'), (b"otilde", 'õ'), (b"ouml", 'ö'), (b"percnt", '%'), (b"period", '.'), (b"plus", '+'),
    (b"puncsp", '\u{2008}'), (b"quest", '?'), (b"quot", '"'), (b"racute", 'ŕ'), (b"rbrace", '}'),
    (b"rbrack", ']'), (b"rcaron", 'ř'), (b"rcedil", 'ŗ'), (b"rcub", '}'), (b"rlm", '\u{200f}'),
    (b"rpar", ')'), (b"rsqb", ']'), (b"sacute", 'ś'), (b"scaron", 'š'), (b"scedil", 'ş'), (b"scirc", 'ŝ'),
    (b"semi", ';'), (b"shy", '\u{ad}'), (b"sol", '/'), (b"szlig", 'ß'), (b"tcaron", 'ť'), (b"tcedil", 'ţ'),
    (b"thinsp", '\u{2009}'), (b"thorn", 'þ'), (b"tstrok", 'ŧ'), (b"uacute", 'ú'), (b"ubreve", 'ŭ'),
    (b"ucirc", 'û'), (b"udblac", 'ű'), (b"ugrave", 'ù'), (b"umacr", 'ū'), (b"uogon", 'ų'), (b"uring", 'ů'),
    (b"utilde", 'ũ'), (b"uuml", 'ü'), (b"verbar", '|'), (b"vert", '|'), (b"wcirc", 'ŵ'), (b"yacute", 'ý'),
    (b"ycirc", 'ŷ'), (b"yuml", 'ÿ'), (b"zacute", 'ź'), (b"zcaron", 'ž'), (b"zdot", 'ż'), (b"zwj", '\u{200d}'),
    (b"zwnj", '\u{200c}'),
];

/// The longest of them, and more than any number takes.
const MAX: usize = 16;

/// The character that `#64;`, `#x40;` or a name with its `;` stands for, and how long that is. Browsers read a
/// number without a `;` too.
pub(super) fn reference(text: &[u8]) -> Option<(u32, usize)> {
    let is_of_it = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'#';
    let length = text.iter().take(MAX).take_while(is_of_it).count();
    let (code, length) = match &text[..length] {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16).map(|(code, n)| (code, 2 + n))?,
        [b'#', digits @ ..] => number(digits, 10).map(|(code, n)| (code, 1 + n))?,
        name if text.get(length) == Some(&b';') => {
            let at = NAMED.binary_search_by_key(&name, |(name, _)| name).ok()?;
            (u32::from(NAMED[at].1), length)
        }
        _ => return None,
    };
    Some((code, length + usize::from(text.get(length) == Some(&b';'))))
}

/// The number that the text begins with, and how many digits it has.
fn number(text: &[u8], radix: u32) -> Option<(u32, usize)> {
    let length = text.iter().take_while(|b| char::from(**b).is_digit(radix)).count();
    let digits = std::str::from_utf8(&text[..length]).ok()?;
    Some((u32::from_str_radix(digits, radix).ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_found() {
        assert!(NAMED.is_sorted_by(|(a, _), (b, _)| a < b));
        for (name, char) in NAMED {
            assert!(name.len() <= MAX);
            let text = [name, &b";x"[..]].concat();
            assert_eq!(reference(&text), Some((u32::from(*char), name.len() + 1)));
            assert_eq!(reference(name), None);
        }
    }

    #[test]
    fn numbers_are_read_with_and_without_their_end() {
        let at = u32::from('@');
        for (text, expected) in [
            ("#64;", Some((at, 4))),
            ("#64example", Some((at, 3))),
            ("#x40;", Some((at, 5))),
            ("#X40 x", Some((at, 4))),
            ("#x0000040;", Some((at, 10))),
            ("#;", None),
            ("#x;", None),
            ("#top", None),
            ("#99999999999", None),
            ("copied;", None),
            ("a=1;", None),
            ("", None),
        ] {
            assert_eq!(reference(text.as_bytes()), expected, "{text}");
        }
    }
}
