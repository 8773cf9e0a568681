//! The vocabulary of devices: which words give away what kind one is, beside its operating system.

/// What a word says of the device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    Nothing,
    /// A phone of the time before touch screens, or one that is like those.
    Keys,
    Tablet,
    Tv,
    /// A set-top box, if it is no phone: some of those are called so, or receive television.
    Box,
    Console,
    /// A headset, if it is no phone: some of those are called so.
    Headset,
    /// A tablet, if it runs Windows: computers with such a processor do not say so.
    Arm,
}

/// What a word says wherever it stands.
#[inline]
pub(super) fn hint(word: &[u8]) -> Hint {
    match word {
        b"CE" | b"Smartphone" | b"J2ME" | b"Profile" | b"profile" | b"PROFILE"
        | b"Configuration" | b"UP.Link" | b"Series40" | b"Brew" | b"BREW" | b"FOMA" | b"DoCoMo"
        | b"WILLCOM" | b"DDIPOCKET" | b"jig" | b"Palm" | b"PalmOS" | b"PalmSource" | b"Polaris"
        | b"MMP" | b"UNTRUSTED" | b"Novarra-Vision" | b"OneBrowser" | b"iBrowser" | b"WAP" => {
            Hint::Keys
        }
        b"Kindle" | b"TouchPad" | b"hp-tablet" | b"Kobo" | b"Nook" | b"NOOK" | b"PocketBook"
        | b"apad" => Hint::Tablet,
        b"TV" | b"SMART-TV" | b"SmartTV" | b"Smart-TV" | b"SMART_TV" | b"SMARTTV" | b"GoogleTV"
        | b"HbbTV" | b"NetCast" | b"NETTV" | b"BRAVIA" | b"Viera" | b"VIDAA" | b"VIZIO"
        | b"Web0S" | b"webOS.TV" | b"tvOS" | b"TiVo" | b"TiVoOS" | b"Roku" | b"MiTV"
        | b"AndroidTV" | b"CrKey" | b"Chromecast" | b"CE-HTML" | b"DLNADOC" | b"AQUOSBrowser"
        | b"InettvBrowser" | b"SonyCEBrowser" | b"Hybridcast" | b"SRAF" | b"VSTVB"
        | b"BrightSign" | b"OMI" | b"OITV" | b"Vewd" | b"KreaTV" | b"SmartTvA" | b"STB"
        | b"POV_TV" | b"Starboard" | b"mips" => Hint::Tv,
        b"Xbox" | b"XBOX_ONE_ED" => Hint::Console,
        b"ARM" => Hint::Arm,
        b"Oculus" | b"PICO" | b"HoloLens" | b"VR" => Hint::Headset,
        [b'A', ..] if word.starts_with(b"AppleTV") => Hint::Tv,
        [b'C', ..] if word.starts_with(b"CLDC") => Hint::Keys,
        [b'K', ..] if word.starts_with(b"KDDI") => Hint::Keys,
        [b'M', ..] if word.starts_with(b"MIDP") || word.starts_with(b"MAUI") => Hint::Keys,
        [b'N', ..] if word.starts_with(b"NetCast") => Hint::Tv,
        [b'N', ..] if word.starts_with(b"Nokia") => Hint::Keys,
        [b'O', ..] if word.starts_with(b"Obigo") => Hint::Keys,
        [b'S', ..] if word.starts_with(b"SM-T") || word.starts_with(b"SM-X") => Hint::Tablet,
        [b'W', ..] if word.starts_with(b"WAP-") || word.starts_with(b"WAP_") => Hint::Keys,
        [b'i', ..] if word.starts_with(b"iPad") => Hint::Tablet,
        [b's', ..] if word.starts_with(b"smarttv") => Hint::Tv,
        _ => Hint::Nothing,
    }
}

/// What a word says in the name of a device that runs Android.
pub(super) fn model(word: &[u8]) -> Hint {
    match word {
        b"Quest" | b"Pico" => Hint::Headset,
        [b'A', b'F', b'T', ..] => Hint::Tv,
        [b'M', ..] if word.starts_with(b"MiTV") || word.starts_with(b"MIBOX") => Hint::Tv,
        // Amazon's, Barnes & Noble's, Oppo's, Samsung's with a pen and old ones, Lenovo's, and Huawei's
        // without a telephone.
        [b'K', b'F', b'A'..=b'Z', b'A'..=b'Z', ..]
        | [b'B', b'N', b'T', b'V', ..]
        | [b'O', b'P', b'D', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9']
        | [b'S', b'M', b'-', b'P', ..]
        | [b'G', b'T', b'-', b'P', ..]
        | [b'G', b'T', b'-', b'N', b'5' | b'8', ..]
        | [b'T', b'B' | b'T', b'-' | b'0'..=b'9', ..]
        | [b'Y', b'T', b'-' | b'0'..=b'9', ..]
        | [.., b'-', b'W', b'0'..=b'9', b'0'..=b'9']
        | [.., b'-', b'W', b'0'..=b'9', b'0'..=b'9', b'H', b'N'] => Hint::Tablet,
        // A maker's name says nothing there.
        _ => match hint(word) {
            Hint::Nothing | Hint::Keys => named(word),
            hint => hint,
        },
    }
}

/// What the letters in a device's name say: "MediaPad", "IdeaTab", "HiSmartTV", "TVBOX".
fn named(word: &[u8]) -> Hint {
    for (at, letters) in word.windows(3).enumerate() {
        match letters {
            b"Pad" | b"PAD" | b"Tab" | b"TAB" => return Hint::Tablet,
            b"Box" | b"BOX" => return Hint::Box,
            [b'A'..=b'Z', b'T', b'V'] => return Hint::Box,
            [b'T', b'V', _] if at == 0 => return Hint::Tv,
            [_, b'T', b'V'] => return Hint::Tv,
            _ => {}
        }
    }
    Hint::Nothing
}

/// Whether it is how a user agent begins that says no more than a phone's model.
pub(super) fn is_phone(first: &[u8]) -> bool {
    const MAKERS: &[&str] = &[
        "alcatel", "amoi", "bird", "docomo", "gt-", "haier", "huawei", "htc", "j-phone", "kddi",
        "kwc-", "kyocera", "lenovo", "lg", "mot-", "motorola", "nec-", "nokia", "palm", "panason",
        "pantech", "philips", "portalm", "sagem", "samsung", "sanyo", "sec-", "sgh-", "sharp",
        "sie-", "softbank", "sony", "vodafone", "zte",
    ];
    MAKERS.iter().any(|maker| {
        let start = first.get(..maker.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(maker.as_bytes()))
    })
}
