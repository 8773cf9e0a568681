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
    // Apps that show pages.
    Messenger = "Facebook Messenger": b"Orca-Android" | b"MessengerForiOS" | b"MessengerLite" | b"MessengerLiteForiOS";
    Facebook = "Facebook": b"FBAN" | b"FBAV" | b"FB_IAB" | b"FBIOS" | b"FB4A" | b"MetaIAB";
    Threads = "Threads": b"Barcelona";
    Instagram = "Instagram": b"Instagram";
    TikTok = "TikTok": b"musical_ly" | b"BytedanceWebview" | b"trill" | b"TikTok";
    WeChat = "WeChat": b"MicroMessenger" | b"Weixin" | b"WindowsWechat" | b"wxwork";
    DingTalk = "DingTalk": b"DingTalk";
    Alipay = "Alipay": b"AlipayClient" | b"AliPayClient";
    Weibo = "Weibo": b"Weibo";
    Snapchat = "Snapchat": b"Snapchat";
    Pinterest = "Pinterest": b"Pinterest";
    LinkedIn = "LinkedIn": b"LinkedInApp";
    Line = "LINE": b"Line";
    KakaoTalk = "KakaoTalk": b"KAKAOTALK";
    KakaoStory = "KakaoStory": b"KAKAOSTORY";
    Daum = "Daum": b"DaumApps";
    Naver = "Naver": b"NAVER";
    YahooJapan = "Yahoo! Japan": b"YJApp-IOS" | b"YJApp-ANDROID";
    Twitter = "Twitter": b"Twitter" | b"TwitterAndroid";
    Telegram = "Telegram": b"Telegram" | b"Telegram-Android";
    Zalo = "Zalo": b"Zalo" | b"ZaloTheme";
    Viber = "Viber": b"Viber";
    Reddit = "Reddit": b"Reddit";
    Discord = "Discord": b"Discord" | b"discord";
    Slack = "Slack": b"Slack" | b"Slack_SSB";
    Spotify = "Spotify": b"Spotify";
    Flipboard = "Flipboard": b"Flipboard";
    Klarna = "Klarna": b"Klarna";
    Teams = "Microsoft Teams": b"Teams" | b"TeamsMobile-Android" | b"TeamsMobile-iOS";
    Bing = "Bing": b"BingSapphire" | b"BingWeb";
    GoogleApp = "Google app": b"GSA" | b"GoogleApp";
    Outlook = "Outlook": b"Outlook" | b"Outlook-iOS" | b"Outlook-Android" | b"MSOffice" | b"ms-office";
    Thunderbird = "Thunderbird": b"Thunderbird";
    // Browsers.
    DuckDuckGo = "DuckDuckGo": b"DuckDuckGo" | b"Ddg";
    Edge = "Edge": b"Edg" | b"Edge" | b"EdgA" | b"EdgiOS" | b"EdgW";
    OperaMini = "Opera Mini": b"OPiOS" | b"OperaMini";
    Opera = "Opera": b"OPR" | b"OPT" | b"OPX" | b"OPRGX" | b"Opera";
    Vivaldi = "Vivaldi": b"Vivaldi";
    Brave = "Brave": b"Brave";
    Yandex = "Yandex Browser": b"YaBrowser" | b"YaApp_Android" | b"YaApp_iOS" | b"YaSearchBrowser" | b"YandexSearch" | b"Yowser";
    Uc = "UC Browser": b"UCBrowser" | b"UCWEB" | b"UBrowser" | b"UCMobile" | b"UCTurbo" | b"UCPC" | b"JUC" | b"IUC";
    Quark = "Quark": b"Quark" | b"QuarkPC";
    Qq = "QQ Browser": b"MQQBrowser" | b"QQBrowser" | b"QQBrowserLite" | b"MttCustomUA";
    Baidu = "Baidu": b"baiduboxapp" | b"BIDUBrowser" | b"baidubrowser" | b"bdbrowser" | b"bdbrowser_i18n" | b"BaiduHD" | b"FlyFlow";
    Sogou = "Sogou": b"MetaSr" | b"SogouMobileBrowser" | b"SogouMSE" | b"SogouSearch";
    QqApp = "QQ": b"QQ";
    Explorer2345 = "2345 Explorer": b"2345Explorer" | b"Mb2345Browser";
    Qihoo = "360 Browser": b"QihooBrowser" | b"QHBrowser" | b"QIHU" | b"360SE" | b"360EE";
    Maxthon = "Maxthon": b"Maxthon" | b"MxBrowser" | b"MXiOS" | b"MxNitro";
    Miui = "Mi Browser": b"MiuiBrowser" | b"MintBrowser";
    Meizu = "Meizu Browser": b"MZBrowser";
    Vivo = "Vivo Browser": b"VivoBrowser";
    Oppo = "HeyTap Browser": b"HeyTapBrowser" | b"OppoBrowser" | b"RealmeBrowser";
    Honor = "Honor Browser": b"HonorBrowser" | b"bdhonorbrowser";
    Huawei = "Huawei Browser": b"HuaweiBrowser" | b"HBPC";
    Lenovo = "Lenovo Browser": b"SLBrowser" | b"LenovoBrowser";
    Phoenix = "Phoenix": b"PHX";
    Hi = "HiBrowser": b"HiBrowser" | b"HIBrowser";
    Liebao = "Liebao": b"LBBROWSER" | b"ACHEETAHI";
    Amigo = "Amigo": b"MRCHROME" | b"Amigo";
    Pico = "Pico Browser": b"PicoBrowser";
    Oculus = "Meta Quest Browser": b"OculusBrowser";
    Wolvic = "Wolvic": b"Wolvic";
    Samsung = "Samsung Internet": b"SamsungBrowser" | b"SamsungBrowserBeta";
    Silk = "Amazon Silk": b"Silk" | b"Silk-Accelerated";
    Whale = "Whale": b"Whale";
    CocCoc = "Coc Coc": b"coc_coc_browser" | b"coc_coc" | b"CocCocBrowser";
    Puffin = "Puffin": b"Puffin" | b"PuffinPhone" | b"PuffinTV";
    Ecosia = "Ecosia": b"Ecosia" | b"EcosiaIos";
    Aloha = "Aloha": b"AlohaBrowser" | b"AlohaBrowserMobile" | b"AlohaLite";
    Avast = "Avast Secure Browser": b"Avast" | b"ASW";
    Avg = "AVG Secure Browser": b"AVG";
    Norton = "Norton Private Browser": b"Norton";
    CCleaner = "CCleaner Browser": b"CCleaner";
    Avira = "Avira Secure Browser": b"Avira";
    Qwant = "Qwant": b"QwantMobile" | b"QwantBrowser";
    Seznam = "Seznam": b"SznProhlizec" | b"Seznam";
    Sleipnir = "Sleipnir": b"Sleipnir";
    Iron = "Iron": b"Iron";
    Dragon = "Comodo Dragon": b"Comodo_Dragon" | b"Dragon";
    SeaMonkey = "SeaMonkey": b"SeaMonkey";
    PaleMoon = "Pale Moon": b"PaleMoon";
    Waterfox = "Waterfox": b"Waterfox";
    LibreWolf = "LibreWolf": b"LibreWolf";
    Epiphany = "Epiphany": b"Epiphany";
    Falkon = "Falkon": b"Falkon" | b"QupZilla";
    Otter = "Otter": b"Otter";
    Dolphin = "Dolphin": b"Dolphin" | b"DolphinHDCN";
    Electron = "Electron": b"Electron";
    // Those of phones with keys.
    Nokia = "Nokia Browser": b"NokiaBrowser" | b"BrowserNG" | b"S40OviBrowser";
    Dolfin = "Dolfin": b"Dolfin";
    NetFront = "NetFront": b"NetFront" | b"ACCESS-NetFront";
    Obigo = "Obigo": b"Obigo" | b"Teleca";
    Openwave = "Openwave": b"UP.Browser" | b"Openwave";
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
    WindowsPhone = "Windows Phone": b"IEMobile" | b"WPDesktop" | b"Lumia";
    Nintendo = "Nintendo": b"Nintendo" | b"Wii" | b"WiiU";
    TvOs = "tvOS": b"tvOS";
    VisionOs = "visionOS": b"visionOS";
    WatchOs = "watchOS": b"watchOS";
    Ios = "iOS": b"iPhone" | b"iPad" | b"iPod" | b"iOS" | b"CriOS" | b"FxiOS" | b"EdgiOS" | b"OPiOS" | b"FBIOS" | b"iphone" | b"Outlook-iOS" | b"prod.iphone";
    HarmonyOs = "HarmonyOS": b"HarmonyOS" | b"OpenHarmony";
    KaiOs = "KaiOS": b"KAIOS";
    Tizen = "Tizen": b"Tizen";
    WebOs = "webOS": b"Web0S" | b"webOS" | b"hpwOS" | b"webOS.TV";
    PlayStation = "PlayStation": b"PlayStation" | b"PLAYSTATION" | b"Playstation" | b"PSP";
    Roku = "Roku": b"Roku";
    BlackBerry = "BlackBerry": b"BB10" | b"BlackBerry" | b"PlayBook";
    Symbian = "Symbian": b"SymbianOS" | b"Symbian" | b"Series60";
    Bada = "Bada": b"Bada" | b"bada";
    Android = "Android": b"Android" | b"android" | b"Outlook-Android" | b"OMDroid" | b"FB4A" | b"Adr";
    Windows = "Windows": b"Windows" | b"Win98" | b"Win95" | b"WinNT";
    ChromeOs = "ChromeOS": b"CrOS";
    MacOs = "macOS": b"Macintosh" | b"macOS" | b"Mac_PowerPC";
    Bsd = "BSD": b"FreeBSD" | b"OpenBSD" | b"NetBSD" | b"DragonFly";
    Linux = "Linux": b"Linux" | b"X11" | b"Ubuntu" | b"Fedora";
}

impl Browser {
    /// Whether it is made for headsets.
    pub(super) fn is_on_headsets(self) -> bool {
        matches!(self, Self::Oculus | Self::Pico | Self::Wolvic)
    }

    /// Whether it is one of phones alone, or nearly so.
    pub(super) fn is_on_phones(self) -> bool {
        matches!(
            self,
            Self::OperaMini
                | Self::Uc
                | Self::Nokia
                | Self::Dolfin
                | Self::NetFront
                | Self::Obigo
                | Self::Openwave
        )
    }
}
