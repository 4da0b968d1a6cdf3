//! A headless Chromium behind its WebDriver.
//!
//! Source: W3C WebDriver (sections 8, 10, 12, 13), and Chromium's own command for the console's log. The protocol is one JSON object
//! over plain HTTP for each command, of which seven are needed: a client library would bring more than it takes away.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// Keys by the code points that WebDriver gives them (section 17.4.2).
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";

/// How the browser looks at pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// A window of a desk.
    Desk,
    /// The same for those who like it dark.
    Dark,
    /// A phone held upright.
    Phone,
    /// A browser that runs no script of a page.
    NoScript,
}

/// A browser; it ends when it is dropped.
pub(crate) struct Browser {
    agent: ureq::Agent,
    session: String,
    driver: Child,
}

impl Browser {
    pub(crate) fn start(look: Look) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver names its port");
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(120)))
            .http_status_as_error(false)
            .build();
        let mut browser = Self {
            agent: config.into(),
            session: format!("http://127.0.0.1:{port}/session"),
            driver,
        };
        let capabilities = json!({ "capabilities": { "alwaysMatch": capabilities(look) } });
        let session = browser.post("", &capabilities);
        browser.session += &format!("/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    /// Opens a page.
    pub(crate) fn open(&self, page: &Path) {
        // Folders of tests have no letters in their names that an address writes otherwise.
        self.post(
            "/url",
            &json!({ "url": format!("file://{}", page.display()) }),
        );
    }

    /// The console of the browser has nothing to say: no error of a script, nothing that the page's policy refused.
    pub(crate) fn assert_quiet(&self) {
        assert_eq!(
            self.post("/se/log", &json!({ "type": "browser" })),
            json!([])
        );
    }

    /// The value of an expression of JavaScript.
    pub(crate) fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The same as text.
    pub(crate) fn text(&self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().into()
    }

    /// Clicks where a person would: the element has to be visible and uncovered.
    pub(crate) fn click(&self, selector: &str) {
        self.post(&format!("{}/click", self.element(selector)), &json!({}));
    }

    /// Types into an element.
    pub(crate) fn keys(&self, selector: &str, text: &str) {
        self.post(
            &format!("{}/value", self.element(selector)),
            &json!({ "text": text }),
        );
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post(
            "/element",
            &json!({ "using": "css selector", "value": selector }),
        );
        // The name that section 12.1 gives to the reference of an element.
        let id = &found["element-6066-11e4-a52e-4f735466cecf"];
        format!("/element/{}", id.as_str().unwrap())
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.session);
        let mut response = self.agent.post(&url).send(body.to_string()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert_eq!(response.status(), 200, "{path} {body}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session; without an answer both are killed.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn capabilities(look: Look) -> Value {
    let mut arguments = vec![
        "--headless=new",
        // Containers that tests run in have no user namespaces; the only pages are our own.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,1000",
    ];
    let mut options = json!({});
    match look {
        Look::Desk => {}
        Look::Dark => arguments.push("--blink-settings=preferredColorScheme=0"),
        Look::Phone => {
            let metrics = json!({ "width": 390, "height": 844, "pixelRatio": 2.0 });
            options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
        }
        Look::NoScript => {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
        }
    }
    options["args"] = json!(arguments);
    json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } })
}
