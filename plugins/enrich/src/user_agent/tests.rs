//! What user agents of today mean.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::words::Agent;

/// User agent; device, browser, os. Bots are those whose device is a bot.
const CASES: &[(&str, [&str; 3])] = &[
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ["desktop", "Chrome", "Windows"],
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
        ["desktop", "Edge", "Windows"],
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0",
        ["desktop", "Opera", "Windows"],
    ),
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; .NET4.0C; Tablet PC 2.0; rv:11.0) like Gecko",
        ["desktop", "Internet Explorer", "Windows"],
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36 Edg/121.0.0.0",
        ["console", "Edge", "Windows"],
    ),
    (
        "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.14977",
        ["mobile", "Edge", "Windows Phone"],
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
        ["desktop", "Safari", "macOS"],
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0",
        ["desktop", "Firefox", "macOS"],
    ),
    (
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
        ["desktop", "Firefox", "Linux"],
    ),
    (
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ["desktop", "Chrome", "ChromeOS"],
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
        ["mobile", "Safari", "iOS"],
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1",
        ["mobile", "Chrome", "iOS"],
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/144.0 Mobile/15E148 Safari/605.1.15",
        ["mobile", "Firefox", "iOS"],
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 EdgiOS/141.0.3537.99 Mobile/15E148 Safari/605.1.15",
        ["mobile", "Edge", "iOS"],
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22G86 Instagram 401.0.0.30.81 (iPhone16,1; iOS 18_6; de_DE)",
        ["mobile", "Instagram", "iOS"],
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
        ["mobile", "WebView", "iOS"],
    ),
    (
        "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
        ["tablet", "Safari", "iOS"],
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142 Version/11.1.1 Safari/605.1.15",
        ["tablet", "Chrome", "iOS"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        ["mobile", "Chrome", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ["tablet", "Chrome", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
        ["mobile", "Samsung Internet", "Android"],
    ),
    (
        "Mozilla/5.0 (Android 15; Mobile; rv:144.0) Gecko/144.0 Firefox/144.0",
        ["mobile", "Firefox", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36",
        ["mobile", "WebView", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        ["mobile", "Chrome", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/125.1.1 like Chrome/125.0.6422.60 Safari/537.36",
        ["tablet", "Amazon Silk", "Android"],
    ),
    (
        "Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 ArkWeb/4.1.6.1 Mobile HuaweiBrowser/5.0.4.300",
        ["mobile", "Huawei Browser", "HarmonyOS"],
    ),
    (
        "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 TV Safari/537.36",
        ["tv", "Safari", "Tizen"],
    ),
    (
        "Mozilla/5.0 (PlayStation; PlayStation 5/6.00) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.4 Safari/605.1.15",
        ["console", "Safari", "PlayStation"],
    ),
    ("MyShop/3.1 (iPhone; iOS 18.1; Scale/3.00)", ["mobile", "MyShop", "iOS"]),
    ("MyShop/42 CFNetwork/1568.200.51 Darwin/24.1.0", ["mobile", "MyShop", "iOS"]),
    ("Dalvik/2.1.0 (Linux; U; Android 14; SM-S911B Build/UP1A)", ["mobile", "Dalvik", "Android"]),
    (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        ["bot", "Googlebot", "other"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        ["bot", "Googlebot", "Android"],
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
        ["bot", "bingbot", "other"],
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        ["bot", "GPTBot", "other"],
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ChatGPT-User/1.0; +https://openai.com/bot)",
        ["bot", "ChatGPT-User", "other"],
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GoogleOther) Chrome/142.0.0.0 Safari/537.36",
        ["bot", "GoogleOther", "other"],
    ),
    (
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        ["bot", "facebookexternalhit", "other"],
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36",
        ["bot", "HeadlessChrome", "Linux"],
    ),
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/50.0.2661.102 Safari/537.36; 360Spider",
        ["bot", "360Spider", "Windows"],
    ),
    // Names that have a bot's in them, and bots.
    (
        "Mozilla/5.0 (Linux; Android 14; CUBOT MAX 5) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        ["mobile", "Chrome", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; Robot Scanner X1 Build/UP1A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        ["mobile", "Chrome", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SM-A546B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 CamScanner/6.70",
        ["mobile", "WebView", "Android"],
    ),
    ("AbbottLibreLink/2.10 (iPhone; iOS 18.4; Scale/3.00)", ["mobile", "AbbottLibreLink", "iOS"]),
    ("Talbots/10.2 (iPhone; iOS 18.1; Scale/3.00)", ["mobile", "Talbots", "iOS"]),
    ("Botanica/3.1 (Android 13; Pixel 7)", ["mobile", "Botanica", "Android"]),
    ("RoomBot/5 CFNetwork/1568.200.51 Darwin/24.1.0", ["mobile", "RoomBot", "iOS"]),
    (
        "Safari%20Technology%20Preview/20620.1 CFNetwork/3826.400.120 Darwin/24.3.0 (x86_64)",
        ["desktop", "Safari", "macOS"],
    ),
    ("BotPoke/1.0", ["bot", "BotPoke", "other"]),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15 (Applebot/0.1)",
        ["bot", "Applebot", "macOS"],
    ),
    // Monitors and libraries, and people whose browser names a site.
    (
        "Mozilla/5.0 (Windows NT 6.2; WOW64) AppleWebKit/537.4 (KHTML, like Gecko) Chrome/98 Safari/537.4 (StatusCake)",
        ["bot", "StatusCake", "Windows"],
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 DatadogSynthetics",
        ["bot", "DatadogSynthetics", "macOS"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 11; moto g power (2022)) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 Chrome-Lighthouse",
        ["bot", "Chrome-Lighthouse", "Android"],
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; Catchpoint) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ["bot", "Catchpoint", "Linux"],
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36 Scope3/2.0 (scope3.com)",
        ["bot", "scope3.com", "Linux"],
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_7_3) AppleWebKit/537.36 (KHTML, like Gecko, Mediapartners-Google) Chrome/114.0.0.0 Safari/537.36",
        ["bot", "Mediapartners-Google", "macOS"],
    ),
    ("python-requests/2.7.0 CPython/2.7.10 Darwin/15.0.0", ["bot", "python-requests", "iOS"]),
    (
        "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1682",
        ["bot", "WindowsPowerShell", "Windows"],
    ),
    ("Viber", ["bot", "Viber", "other"]),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36,gzip(gfe) (via translate.google.com)",
        ["desktop", "Chrome", "Windows"],
    ),
    (
        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0; Pioneer Internet - www.pldi.net)",
        ["desktop", "Internet Explorer", "Windows"],
    ),
    (
        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; SE 2.X MetaSr 1.0)",
        ["desktop", "Sogou", "Windows"],
    ),
    // Phones with keys.
    (
        "Nokia6280/2.0 (03.60) Profile/MIDP-2.0 Configuration/CLDC-1.1",
        ["mobile", "Nokia6280", "other"],
    ),
    ("SAMSUNG-SGH-F250", ["mobile", "SAMSUNG-SGH-F250", "other"]),
    ("MOT-V860/00.72 UP.Browser/7.2.7.5.630 (GUI) MMP/2.0", ["mobile", "Openwave", "other"]),
    (
        "Mozilla/5.0 (Series40; NokiaX2-05/08.35; Profile/MIDP-2.1 Configuration/CLDC-1.1) Gecko/20100401 S40OviBrowser/2.0.2.68.14",
        ["mobile", "Nokia Browser", "other"],
    ),
    (
        "Mozilla/5.0 (SymbianOS/9.4; Series60/5.0 NokiaN97-1/20.0.019; Profile/MIDP-2.1 Configuration/CLDC-1.1) AppleWebKit/525 (KHTML, like Gecko) BrowserNG/7.1.18124",
        ["mobile", "Nokia Browser", "Symbian"],
    ),
    (
        "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/191.308; U; en) Presto/2.8.119 Version/11.10",
        ["mobile", "Opera Mini", "other"],
    ),
    (
        "Mozilla/5.0 (Mobile; LYF/F90M/LYF-F90M-000; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5",
        ["mobile", "Firefox", "KaiOS"],
    ),
    (
        "SAMSUNG-SGH-E250/1.0 Profile/MIDP-2.0 Configuration/CLDC-1.1 UP.Browser/6.2.3.3.c.1.101 (GUI) MMP/2.0 (compatible; Googlebot-Mobile/2.1; +http://www.google.com/bot.html)",
        ["bot", "Googlebot-Mobile", "other"],
    ),
    // Tablets.
    (
        "Mozilla/5.0 (PlayBook; U; RIM Tablet OS 2.1.0; en-US) AppleWebKit/536.2+ (KHTML, like Gecko) Version/7.2.1.0 Safari/536.2+",
        ["tablet", "Safari", "BlackBerry"],
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Silk/125.1.1 like Chrome/125.0.6422.60 Safari/537.36",
        ["tablet", "Amazon Silk", "Linux"],
    ),
    (
        "Mozilla/5.0 (Linux; U; en-US) AppleWebKit/528.5+ (KHTML, like Gecko, Safari/528.5+) Version/4.0 Kindle/3.0 (screen 600x800; rotate)",
        ["tablet", "Safari", "Linux"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SCM-W09) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        ["tablet", "Chrome", "Android"],
    ),
    (
        "Dalvik/2.1.0 (Linux; U; Android 13; Redmi Pad Build/TP1A.220624.014)",
        ["tablet", "Dalvik", "Android"],
    ),
    (
        "Mozilla/5.0 (Windows NT 6.2; ARM; Trident/7.0; Touch; rv:11.0) like Gecko",
        ["tablet", "Internet Explorer", "Windows"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 8.0; Pixel 2 Build/OPD3.170816.012) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        ["mobile", "Chrome", "Android"],
    ),
    // Headsets.
    (
        "Mozilla/5.0 (X11; Linux x86_64; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/36.6 Chrome/130.0.6723.191 VR Safari/537.36",
        ["headset", "Meta Quest Browser", "Linux"],
    ),
    (
        "Mozilla/5.0 (Android 12; Mobile VR; rv:121.0) Gecko/121.0 Firefox/121.0 Wolvic/1.6.1",
        ["headset", "Wolvic", "Android"],
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; PICO 4 OS5.4.0 like Quest) AppleWebKit/537.36 (KHTML, like Gecko) PicoBrowser/3.3.22 Chrome/105.0.5195.68 VR Safari/537.36 OculusBrowser/7.0",
        ["headset", "Pico Browser", "Linux"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 4.4.2; QUMO Quest 507) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/74.0.3729.157 Mobile Safari/537.36",
        ["mobile", "Chrome", "Android"],
    ),
    // Television, and consoles.
    (
        "Mozilla/5.0 (Linux; Android 11; Smart TV Pro Build/RTM2.211215; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Safari/537.36",
        ["tv", "WebView", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 7.0; myA8 DTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        ["mobile", "Chrome", "Android"],
    ),
    (
        "Dalvik/2.1.0 (Linux; U; Android 10; CANAL PLUS BOX Build/QTT8.201201.002)",
        ["tv", "Dalvik", "Android"],
    ),
    ("HbbTV/1.2.1 (;Philips;MT5580;;;) ANTGalio/3.3.0.26.04", ["tv", "HbbTV", "other"]),
    ("Roku4640X/DVP-7.70 (297.70E04154A)", ["tv", "Roku4640X", "Roku"]),
    (
        "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36 WebAppManager",
        ["tv", "Chrome", "webOS"],
    ),
    (
        "Mozilla/5.0 (New Nintendo 3DS like iPhone) AppleWebKit/536.30 (KHTML, like Gecko) NX/3.0.0.5.15 Mobile NintendoBrowser/1.3.10126.EU",
        ["console", "other", "Nintendo"],
    ),
    // Pages shown in apps, and browsers of a region or a maker.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/MessengerForiOS;FBAV/450.0;FBCR/Telekom.de]",
        ["mobile", "Facebook Messenger", "iOS"],
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 musical_ly_33.1.0 JsSdk/2.0 NetType/WIFI",
        ["mobile", "TikTok", "iOS"],
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari/604.1 NAVER(inapp; search; 1000; 12.5.3)",
        ["mobile", "Naver", "iOS"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SM-S918N; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36;KAKAOTALK 2410500",
        ["mobile", "KakaoTalk", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; V2250 Build/UP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/87.0.4280.141 Mobile Safari/537.36 VivoBrowser/14.6.0.0",
        ["mobile", "Vivo Browser", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; U; Android 13; en-us; CPH2365) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/115.0.5790.168 Mobile Safari/537.36 HeyTapBrowser/45.9.8.1",
        ["mobile", "HeyTap Browser", "Android"],
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0.4240.198 Safari/537.36 QIHU 360EE",
        ["desktop", "360 Browser", "Windows"],
    ),
    (
        "UCWEB/2.0 (Linux; U; Adr 4.4.2; en-US; GT-S5302) U2/1.0.0 UCBrowser/9.3.0.440 Mobile",
        ["mobile", "UC Browser", "Android"],
    ),
    (
        "Mozilla/5.0 (Linux; Android 4.2.2; DROIDZ Edge+ Build/JDQ39) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        ["mobile", "Chrome", "Android"],
    ),
    (
        "Safari/18615.1.21.11.5 CFNetwork/1406.0.2 Darwin/22.4.0 (MacBookPro18%2C3)",
        ["desktop", "Safari", "macOS"],
    ),
    ("curl/8.5.0", ["bot", "curl", "other"]),
    ("python-requests/2.32.3", ["bot", "python-requests", "other"]),
    ("Go-http-client/2.0", ["bot", "Go-http-client", "other"]),
    ("Mozilla/5.0", ["bot", "other", "other"]),
    ("-", ["bot", "other", "other"]),
    ("", ["bot", "other", "other"]),
];

#[test]
fn user_agents_of_today_are_told_apart() {
    for (user_agent, [device, browser, os]) in CASES {
        let expected = Agent { device, browser: browser.as_bytes(), os, is_bot: *device == "bot" };
        assert_eq!(Agent::parse(user_agent.as_bytes()), expected, "{user_agent}");
    }
}

#[test]
fn what_a_bot_calls_itself_is_cut() {
    let long = format!("{}bot/1.0", "x".repeat(100));
    assert_eq!(Agent::parse(long.as_bytes()).browser, [b'x'; 32]);
}

#[test]
fn as_much_is_read_as_a_user_agent_may_have() {
    let padding =
        |bytes: usize| format!("Mozilla/5.0 (Windows NT 10.0) {}", "x ".repeat(bytes / 2));
    assert!(Agent::parse(format!("{} Googlebot", padding(400)).as_bytes()).is_bot);
    assert!(!Agent::parse(format!("{} Googlebot", padding(512)).as_bytes()).is_bot);
}

proptest! {
    #[test]
    fn whatever_is_sent_has_a_kind_and_a_name(
        agent in prop_oneof![
            vec(any::<u8>(), 0..2000),
            vec(
                select(vec![
                    &b"Mozilla"[..], b"/5.0 (", b"Android", b" ", b"Build", b"bot", b"BOT", b"\0", b"-W09",
                    b"TV", b"Pad", b"compatible", b"http", b"scanning", b"\xc3\xa9", b"CFNetwork", b"wv",
                    b"user.com", b"Mobile", b"iPhone", b"MIDP", b"Cubot", b"Darwin",
                ]),
                0..60,
            ).prop_map(|words| words.concat()),
        ],
    ) {
        let Agent { device, browser, os, is_bot } = Agent::parse(&agent);
        let devices = ["desktop", "mobile", "tablet", "tv", "console", "headset", "bot", "other"];
        prop_assert!(devices.contains(&device));
        prop_assert_eq!(device == "bot", is_bot);
        prop_assert!(matches!(browser.len(), 1..=32) && browser.is_ascii());
        prop_assert!(!os.is_empty());
    }
}
