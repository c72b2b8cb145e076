//! Names of languages: ISO 639-1 (`de`), both forms of ISO 639-2 (`deu`, `ger`), and tags that begin with one (`de-AT`).

/// The longest tag that is read, in characters (RFC 5646, 4.4.1).
pub(crate) const TAG_CHARS_MAX: usize = 35;

/// The two letters of each language, then its three letters, the bibliographic ones last where there are others.
const NAMES: &str = "\
    aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul bi:bis \
    bm:bam bn:ben bo:bod:tib br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces:cze cu:chu cv:chv cy:cym:wel \
    da:dan de:deu:ger dv:div dz:dzo ee:ewe el:ell:gre en:eng eo:epo es:spa et:est eu:eus:baq fa:fas:per ff:ful fi:fin \
    fj:fij fo:fao fr:fra:fre fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv \
    ht:hat hu:hun hy:hye:arm hz:her ia:ina id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl:ice it:ita iu:iku ja:jpn \
    jv:jav ka:kat:geo kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor \
    ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri:mao mk:mkd:mac ml:mal \
    mn:mon mr:mar ms:msa:may mt:mlt my:mya:bur na:nau nb:nob nd:nde ne:nep ng:ndo nl:nld:dut nn:nno no:nor nr:nbl \
    nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol ps:pus pt:por qu:que rm:roh rn:run \
    ro:ron:rum ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag si:sin sk:slk:slo sl:slv sm:smo sn:sna so:som \
    sq:sqi:alb sr:srp ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn \
    to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho \
    yi:yid yo:yor za:zha zh:zho:chi zu:zul";

/// The languages in which speech is recognised, in the recogniser's words: those of Whisper.
const SPOKEN: &str = "\
    en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml cy \
    sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo \
    uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su";

/// Languages that are recognised by the name of another.
const KNOWN_AS: [(&str, &str); 7] =
    [("jv", "jw"), ("nb", "no"), ("fil", "tl"), ("cmn", "zh"), ("yue", "zh"), ("iw", "he"), ("in", "id")];

/// How the recogniser of speech calls the language of a tag; `None` if it does not know it.
#[must_use]
pub fn spoken(tag: &str) -> Option<&'static str> {
    let name = canonical(tag);
    let name = KNOWN_AS.iter().find(|(other, _)| *other == name).map_or(&*name, |(_, known)| known);
    SPOKEN.split_whitespace().find(|known| *known == name)
}

/// A tag of a language that is understood, whether its words are written down or have to be recognised.
///
/// # Errors
/// What is wrong, for the person who asked.
pub fn understood(tag: &str) -> Result<&str, String> {
    if !is_tag(tag) {
        return Err("`language` must be a language tag like `en` or `pt-BR`".to_owned());
    }
    match spoken(tag) {
        Some(_) => Ok(tag),
        None => Err(format!(
            "speech in the language `{tag}` is not understood; leave `language` out to take the one that is spoken"
        )),
    }
}

/// Whether this can be a language's name.
pub(crate) fn is_tag(word: &str) -> bool {
    let mut parts = word.split('-');
    let first = parts.next().is_some_and(|part| {
        (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    let more =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    first && word.len() <= TAG_CHARS_MAX && parts.all(more)
}

/// Whether both name the same language, however they spell it.
pub(crate) fn matches(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

/// The shortest name of a tag's language, in small letters.
fn canonical(tag: &str) -> String {
    let name = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let row = NAMES.split_whitespace().find(|row| row.split(':').any(|known| known == name));
    row.and_then(|row| row.split(':').next()).map_or(name, str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_many_names() {
        for (one, other) in [
            ("en", "eng"),
            ("ger", "de-DE"),
            ("deu", "ger"),
            ("FR", "fre"),
            ("zh-Hans", "chi"),
            ("tlh", "tlh"),
        ] {
            assert!(matches(one, other), "{one} {other}");
        }
        assert!(!matches("en", "de") && !matches("nob", "nno"));
    }

    #[test]
    fn what_is_spoken_is_known_by_any_of_its_names() {
        for (tag, known) in
            [("en", "en"), ("de-AT", "de"), ("ger", "de"), ("zh-Hant-TW", "zh"), ("nb", "no"), ("haw", "haw")]
        {
            assert_eq!((spoken(tag), understood(tag)), (Some(known), Ok(tag)));
        }
        for tag in ["tlh", "eo", "kl"] {
            assert!(understood(tag).unwrap_err().contains("leave `language` out"), "{tag}");
        }
        assert!(understood("e n").unwrap_err().contains("language tag"));
        assert_eq!(SPOKEN.split_whitespace().collect::<std::collections::BTreeSet<_>>().len(), 99);
    }

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(["en", "eng", "pt-BR", "zh-Hant-TW"].into_iter().all(is_tag));
        assert!(!["", "e", "english", "en--", "e1", "d\u{e9}", "12"].into_iter().any(is_tag));
    }
}
