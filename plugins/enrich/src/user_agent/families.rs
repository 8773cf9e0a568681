//! The vocabulary of user agents: which words give away which browser and operating system.
//!
//! To be extended here when a browser deserves its own name; a test case in `super::tests` goes with it.

macro_rules! families {
    ($(#[$doc:meta])* $kind:ident: $($case:ident = $name:literal: $($word:literal)|+;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum $kind {
            $($case,)*
            None,
        }

        impl $kind {
            /// The family that a word gives away.
            #[inline]
            pub(super) fn of(word: &[u8]) -> Self {
                match word {
                    $($($word)|+ => Self::$case,)*
                    _ => Self::None,
                }
            }

            /// Its name, "other" for none.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $name,)*
                    Self::None => "other",
                }
            }
        }
    };
}

families! {
    /// Browser families by the words that give them away. Of several the first one counts: those that
    /// are built on others come before them.
    Browser:
    Facebook = "Facebook": b"FBAN" | b"FBAV" | b"FB_IAB" | b"FBIOS";
    Instagram = "Instagram": b"Instagram";
    TikTok = "TikTok": b"musical_ly" | b"BytedanceWebview" | b"trill";
    WeChat = "WeChat": b"MicroMessenger";
    Snapchat = "Snapchat": b"Snapchat";
    Pinterest = "Pinterest": b"Pinterest";
    LinkedIn = "LinkedIn": b"LinkedInApp";
    Line = "LINE": b"Line";
    GoogleApp = "Google app": b"GSA" | b"GoogleApp";
    DuckDuckGo = "DuckDuckGo": b"DuckDuckGo" | b"Ddg";
    Edge = "Edge": b"Edg" | b"Edge" | b"EdgA" | b"EdgiOS" | b"EdgW";
    Opera = "Opera": b"OPR" | b"OPiOS" | b"OPT" | b"OPX" | b"Opera";
    Vivaldi = "Vivaldi": b"Vivaldi";
    Yandex = "Yandex Browser": b"YaBrowser" | b"YaApp_Android" | b"YaSearchBrowser";
    Uc = "UC Browser": b"UCBrowser" | b"UCWEB" | b"UBrowser";
    Qq = "QQ Browser": b"MQQBrowser" | b"QQBrowser";
    Miui = "Mi Browser": b"MiuiBrowser";
    Huawei = "Huawei Browser": b"HuaweiBrowser";
    Oculus = "Meta Quest Browser": b"OculusBrowser";
    Samsung = "Samsung Internet": b"SamsungBrowser";
    Silk = "Amazon Silk": b"Silk" | b"Silk-Accelerated";
    Whale = "Whale": b"Whale";
    CocCoc = "Coc Coc": b"coc_coc_browser";
    SeaMonkey = "SeaMonkey": b"SeaMonkey";
    PaleMoon = "Pale Moon": b"PaleMoon";
    Electron = "Electron": b"Electron";
    // Before Mozilla's and Google's own, as Windows Phone named those too.
    Explorer = "Internet Explorer": b"MSIE" | b"Trident" | b"IEMobile";
    Firefox = "Firefox": b"Firefox" | b"FxiOS" | b"Focus" | b"Klar";
    WebView = "WebView": b"wv";
    Chrome = "Chrome": b"Chrome" | b"CriOS" | b"Chromium" | b"CrMo";
    Konqueror = "Konqueror": b"Konqueror";
    Lynx = "Lynx": b"Lynx";
    Links = "Links": b"Links" | b"ELinks";
    Safari = "Safari": b"Safari";
}

families! {
    /// Operating system families, as [`Browser`].
    System:
    WindowsPhone = "Windows Phone": b"IEMobile";
    TvOs = "tvOS": b"tvOS";
    Ios = "iOS": b"iPhone" | b"iPad" | b"iPod" | b"iOS" | b"CriOS" | b"FxiOS" | b"EdgiOS" | b"OPiOS" | b"FBIOS";
    HarmonyOs = "HarmonyOS": b"HarmonyOS" | b"OpenHarmony";
    KaiOs = "KaiOS": b"KAIOS";
    Tizen = "Tizen": b"Tizen";
    WebOs = "webOS": b"Web0S" | b"webOS" | b"hpwOS" | b"webOS.TV";
    PlayStation = "PlayStation": b"PlayStation" | b"PLAYSTATION";
    Nintendo = "Nintendo": b"Nintendo";
    Roku = "Roku": b"Roku";
    BlackBerry = "BlackBerry": b"BB10" | b"BlackBerry" | b"PlayBook";
    Android = "Android": b"Android";
    Windows = "Windows": b"Windows";
    ChromeOs = "ChromeOS": b"CrOS";
    MacOs = "macOS": b"Macintosh" | b"macOS" | b"Mac_PowerPC";
    Bsd = "BSD": b"FreeBSD" | b"OpenBSD" | b"NetBSD" | b"DragonFly";
    Linux = "Linux": b"Linux" | b"X11" | b"Ubuntu" | b"Fedora";
}
