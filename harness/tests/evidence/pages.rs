//! The pages in a browser: links both ways, search, filters, comparison, looks.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use shakedown_harness::report::html::{write_index, write_page};

use crate::browser::{Browser, ENTER, ESCAPE, Look};
use crate::sample;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("waterfall_and_console_lead_to_each_other", links),
    ("the_console_is_searched_by_keyboard", search),
    ("serial_ports_are_hidden_and_shown", filters),
    ("faults_lead_to_where_they_took_effect", faults),
    ("text_of_the_board_is_only_text", escapes),
    ("everything_is_there_without_script", no_script),
    ("nothing_is_wider_than_a_phone", phone),
    ("text_has_contrast_in_light_and_dark", contrast),
    ("the_index_filters_and_compares", index),
];

/// The text of what the address points to.
const TARGET: &str = "document.querySelector(':target').textContent";
/// The name of the waterfall's row that the address points to.
const ROW: &str =
    "document.querySelector(':target').closest('.row').querySelector('.name').textContent";
const FOCUSED: &str = "document.activeElement.textContent";
const HIT: &str = "document.querySelector('.console .hit').textContent";

/// The folder of a sample run with its page.
fn sample(write: fn(&Path)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let page = write_page(folder.path()).unwrap();
    (folder, page)
}

fn links() {
    let (_folder, page) = sample(sample::passed);
    let browser = Browser::start(Look::Desk);
    browser.open(&page);
    browser.click(".row.stage:nth-child(3) a.name");
    assert_eq!(
        browser.text(TARGET),
        "12.00kernel fetched reached after 9.0 s"
    );
    browser.click(".console li:target a");
    assert_eq!(browser.text(ROW), "kernel fetched");
    // A line of a serial port leads to the stage that the board was in.
    browser.click(".console li.u1[data-t='18'] a");
    assert_eq!(browser.text(ROW), "Linux");
    browser.click(".bar a.http rect");
    let request = browser.text(TARGET);
    assert!(
        request.contains("GET boot.farm.example/files/kernel: 200, 13.7 MB in 7.5 s"),
        "{request}"
    );
    browser.assert_quiet();
}

fn search() {
    let (_folder, page) = sample(sample::passed);
    let browser = Browser::start(Look::Desk);
    browser.open(&page);
    browser.keys("body", "/");
    assert_eq!(browser.text("document.activeElement.id"), "find");
    // Letters of any case, across a change of colour.
    browser.keys("#find", "SPLIT WORD");
    assert_eq!(
        browser.text("document.getElementById('found').textContent"),
        "1 of 1"
    );
    assert_eq!(browser.text(HIT), "3.50red <b> alert: split word");
    let marked = "[...CSS.highlights.get('found')].map(range => range.toString())";
    assert_eq!(browser.value(marked), json!(["split word"]));

    browser.keys("#find", ESCAPE);
    let matches = "document.querySelectorAll('.console .match').length";
    assert_eq!(browser.value(matches), 0);
    browser.keys("#find", "ipxe");
    assert!(browser.value(matches).as_u64() > Some(1));
    let first = browser.text(HIT);
    browser.keys("#find", ENTER);
    assert_ne!(browser.text(HIT), first);
    browser.keys("#find", ESCAPE);

    browser.keys("body", "jj");
    assert_eq!(browser.text(FOCUSED), "iPXE");
    browser.keys("body", "k");
    assert_eq!(browser.text(FOCUSED), "U-Boot");
    browser.assert_quiet();
}

fn filters() {
    let (_folder, page) = sample(sample::passed);
    let browser = Browser::start(Look::Desk);
    browser.open(&page);
    let shown = "[...new Set([...document.querySelectorAll('.console li')].filter(line => line.offsetParent)
        .map(line => line.classList[0]))].sort()";
    assert_eq!(browser.value(shown), json!(["ev", "u0", "u1"]));
    browser.click("#show-u1");
    assert_eq!(browser.value(shown), json!(["ev", "u0"]));
    browser.click("#show-marks");
    assert_eq!(browser.value(shown), json!(["u0"]));
}

fn faults() {
    let (_folder, page) = sample(sample::failed);
    let browser = Browser::start(Look::Desk);
    browser.open(&page);
    let listed = "[...document.querySelectorAll('.faults li')].map(li => li.textContent.replace(/\\s+/g, ' ').trim())";
    assert_eq!(
        browser.value(listed),
        json!([
            "the registry is tired took effect at 12.5 s",
            "the card is bent no server saw it take effect",
        ])
    );
    browser.click(".faults a");
    assert_eq!(browser.text(ROW), "GET …/manifests/latest");
    // What nobody has injected looks otherwise.
    let injected = "document.querySelectorAll('.bar .injected').length";
    assert_eq!(browser.value(injected), 1);
    browser.click(".bar .injected rect");
    let at_work = browser.text(TARGET);
    assert!(at_work.ends_with("(an injected fault)"), "{at_work}");
    browser.assert_quiet();

    let (_folder, page) = sample(sample::passed);
    browser.open(&page);
    let facts = browser.text("document.querySelector('.facts').textContent");
    assert!(facts.contains("faults injectednone"), "{facts}");
}

fn escapes() {
    let (_folder, page) = sample(sample::failed);
    let browser = Browser::start(Look::Desk);
    browser.open(&page);
    let text =
        |selector: &str| browser.text(&format!("document.querySelector({selector:?}).textContent"));
    assert!(text("h1").ends_with("not syncing: <no init>"));
    assert_eq!(text(".console i.f1"), "red <b>");
    // What the board has not reached is shown as such.
    assert!(text(".row.missed").contains("7.2 s, not reached"));
    browser.assert_quiet();
}

fn no_script() {
    let (_folder, page) = sample(sample::failed);
    let browser = Browser::start(Look::NoScript);
    browser.open(&page);
    // The driver's own scripts still run.
    let text = browser.text("document.body.innerText").to_lowercase();
    let parts = [
        "stage \"linux\" was not reached",
        "kernel fetched",
        "last words",
        "u-boot-rpi",
        "cargo xtask e2e alpine-https",
    ];
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    // What only a script makes work does not show.
    assert!(!text.contains("copy"), "{text}");
    browser.click(".row.stage a.name");
    assert!(browser.text(TARGET).contains("U-Boot reached"));
}

fn phone() {
    let (folder, page) = sample(sample::failed);
    let run = folder.path().join("1-a");
    sample::passed(&run);
    let index = write_index(folder.path()).unwrap();
    let browser = Browser::start(Look::Phone);
    for page in [page, index] {
        browser.open(&page);
        assert_eq!(browser.value("innerWidth"), 390);
        assert_eq!(
            browser.value("document.documentElement.scrollWidth"),
            390,
            "{}",
            page.display()
        );
    }
}

/// Text that is hard to read: contrast with what is behind it below 4.5 (WCAG 2.2, success criterion 1.4.3).
const UNREADABLE: &str = "(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const unreadable = [];
  for (const element of document.querySelectorAll('body *')) {
    const speaks = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!speaks || !element.checkVisibility() || element.matches('script, title')) continue;
    const lights = [parse(getComputedStyle(element).color), behind(element)].map(light).sort((a, b) => b - a);
    const ratio = (lights[0] + 0.05) / (lights[1] + 0.05);
    if (ratio < 4.5) unreadable.push(`${element.outerHTML.slice(0, 80)}: ${ratio.toFixed(2)}`);
  }
  return unreadable;
})()";

fn contrast() {
    for look in [Look::Desk, Look::Dark] {
        let browser = Browser::start(look);
        for write in [sample::passed, sample::failed] {
            let (folder, page) = sample(write);
            sample::passed(&folder.path().join("1-a"));
            sample::failed(&folder.path().join("2-b"));
            for page in [page, write_index(folder.path()).unwrap()] {
                browser.open(&page);
                let dark = browser.value("matchMedia('(prefers-color-scheme: dark)').matches");
                assert_eq!(dark, look == Look::Dark);
                assert_eq!(
                    browser.value(UNREADABLE),
                    json!([]),
                    "{look:?} {}",
                    page.display()
                );
            }
        }
    }
}

fn index() {
    let folder = tempfile::tempdir().unwrap();
    let runs = [
        ("1-a", sample::passed as fn(&Path)),
        ("2-b", sample::failed),
    ];
    for (name, write) in runs {
        write(&folder.path().join(name));
        write_page(&folder.path().join(name)).unwrap();
    }
    fs::create_dir(folder.path().join("3-broken")).unwrap();
    fs::write(folder.path().join("3-broken/report.json"), "{").unwrap();
    let page = write_index(folder.path()).unwrap();
    let browser = Browser::start(Look::Desk);
    browser.open(&page);
    let text =
        |selector: &str| browser.text(&format!("document.querySelector({selector:?}).innerText"));
    assert_eq!(text("#count"), "2 of 2");
    assert!(text(".cards p").starts_with("1 of 2 passed"));
    assert!(text("#runs .hint").contains("3-broken"));

    // The newest run and the one before it are compared at once, stage by stage.
    let table = "[...document.querySelector('#comparison tbody').rows]
        .map(row => [...row.cells].slice(0, 4).map(cell => cell.textContent))";
    let rows = browser.value(table);
    assert_eq!(rows[1], json!(["iPXE", "2.5", "3.0", "+0.5 (+20 %)"]));
    assert_eq!(rows[3], json!(["Linux", "18.0", "-", ""]));
    // The other way round by hand.
    browser.click("#list tr:nth-child(1) input[name=a]");
    browser.click("#list tr:nth-child(2) input[name=b]");
    let rows = browser.value(table);
    assert_eq!(rows[1], json!(["iPXE", "3.0", "2.5", "-0.5 (-17 %)"]));
    assert!(
        browser
            .text("location.hash")
            .starts_with("#compare=2-b,1-a")
    );

    browser.keys("#filter", "panic");
    assert_eq!(text("#count"), "1 of 2");
    browser.click(".show[value=failed]");
    assert_eq!(text("#count"), "0 of 2");
    browser.click(".show[value=failed]");
    browser.click("#list tr:not([hidden]) .when a");
    assert!(browser.text("document.title").contains("kernel panic"));
    browser.assert_quiet();
}
