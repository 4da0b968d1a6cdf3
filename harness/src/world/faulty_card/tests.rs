use std::os::unix::fs::FileExt;

use super::*;
use crate::fault::Fault;
use crate::input::ByteSize;
use crate::machine::create_overlay;
use crate::timeline::{Event, Timeline};

const SIZE: u64 = 1 << 20;

/// A card of sectors that hold their number, with faults everywhere, or on its sectors 8 to 11.
struct Bench {
    _folder: tempfile::TempDir,
    card: FaultyCard,
    timeline: Timeline,
}

fn bench(faults: &[(CardTrouble, bool, Option<u64>)]) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let (base, overlay) = (folder.path().join("card.img"), folder.path().join("o"));
    let file = File::create(&base).unwrap();
    for sector in 0..SIZE / SECTOR {
        file.write_all_at(&[sector as u8; 512], sector * SECTOR)
            .unwrap();
    }
    create_overlay(&base, &overlay).unwrap();
    let timeline = Timeline::start();
    let mut all = FaultPlaces::default();
    let faults = faults
        .iter()
        .zip(1..)
        .map(|((does, everywhere, times), n)| {
            let defect = CardDefect {
                // Tells them apart.
                partition: (!everywhere).then_some(n),
                file: None,
                does: *does,
            };
            let places =
                (!everywhere).then(|| vec![8 * SECTOR..10 * SECTOR, 10 * SECTOR..12 * SECTOR]);
            all.0.push((defect.clone(), places));
            Fault {
                times: *times,
                ..Fault::new(format!("fault {n}"), Defect::Card(defect))
            }
        });
    let faults = Faults::new(7, faults.collect(), timeline.clone());
    let card = FaultyCard::new(&base, &overlay, all, faults).unwrap();
    Bench {
        _folder: folder,
        card,
        timeline,
    }
}

impl Bench {
    fn read(&mut self, first: u64, sectors: usize) -> (Answer, Vec<u8>) {
        let mut bytes = vec![0; sectors * 512];
        let answer = self.card.read(&mut bytes, first * SECTOR);
        (answer, bytes)
    }

    fn write(&mut self, sector: u64, byte: u8) -> Answer {
        self.card.write(&[byte; 512], sector * SECTOR)
    }

    fn places(&self) -> Vec<String> {
        let records = self.timeline.snapshot().into_iter();
        let places = records.filter_map(|record| match record.event {
            Event::Fault { place, .. } => Some(place),
            _ => None,
        });
        places.collect()
    }
}

#[test]
fn one_bit_of_each_sector_is_wrong_and_always_the_same() {
    let mut bench = bench(&[(CardTrouble::CorruptReads, false, None)]);
    let (answer, bytes) = bench.read(6, 4);
    assert_eq!(answer, Answer::DONE);
    let wrong: Vec<u32> = (6..)
        .zip(bytes.chunks(512))
        .map(|(sector, bytes)| bytes.iter().map(|b| (b ^ sector).count_ones()).sum())
        .collect();
    assert_eq!(wrong, [0, 0, 1, 1]);
    assert_eq!(bench.read(6, 4).1, bytes);
    assert_eq!(bench.places()[0], "card, read of sectors 6 to 9");
    assert_eq!(bench.read(12, 4).1[0], 12);
    assert_eq!(bench.places().len(), 2);
}

#[test]
fn what_is_lost_is_as_it_was_and_the_next_is_kept() {
    let mut bench = bench(&[(CardTrouble::LoseWrites, true, Some(1))]);
    assert_eq!(bench.write(3, 99), Answer::DONE);
    assert_eq!(bench.read(3, 1).1, [3; 512]);
    assert_eq!(bench.write(3, 99), Answer::DONE);
    assert_eq!(bench.read(3, 1).1, [99; 512]);
    assert_eq!(bench.places(), ["card, write of sector 3"]);
}

#[test]
fn errors_are_of_their_way_alone() {
    let failed = Err(Refused::Io);
    let mut bench1 = bench(&[(CardTrouble::FailReads, false, None)]);
    assert_eq!(bench1.read(8, 1).0.result, failed);
    assert_eq!(bench1.read(7, 1).0.result, Ok(()));
    assert_eq!(bench1.write(8, 1).result, Ok(()));
    let mut bench2 = bench(&[(CardTrouble::FailWrites, true, None)]);
    assert_eq!(bench2.write(8, 1).result, failed);
    assert_eq!(bench2.read(8, 1), (Answer::DONE, vec![8; 512]));
}

#[test]
fn a_slow_card_takes_its_time() {
    let rate = CardTrouble::Slow(ByteSize(1024));
    let mut bench = bench(&[(rate, true, None)]);
    assert_eq!(bench.read(0, 4).0.takes, Duration::from_secs(2));
    assert_eq!(bench.write(0, 0).takes, Duration::from_millis(500));
}

#[test]
fn half_of_the_last_write_is_gone_with_the_power() {
    let mut bench = bench(&[(CardTrouble::TornWrite, true, Some(1))]);
    for sector in [1, 20, 21, 22, 23] {
        bench.write(sector, 99);
    }
    bench.card.loses_power();
    let (_, bytes) = bench.read(20, 4);
    let firsts: Vec<_> = bytes.chunks(512).map(|sector| sector[0]).collect();
    assert_eq!(firsts, [99, 99, 22, 23]);
    assert_eq!(bench.read(1, 1).1[0], 99);
    assert_eq!(bench.places(), ["card, write of sectors 20 to 23"]);
    // Once only, and never what was flushed.
    bench.write(30, 99);
    bench.card.loses_power();
    assert_eq!(bench.read(30, 1).1, [99; 512]);
}

#[test]
fn what_was_flushed_is_whole() {
    let mut bench = bench(&[(CardTrouble::TornWrite, true, None)]);
    bench.write(30, 99);
    bench.card.flush();
    bench.card.loses_power();
    assert_eq!(bench.read(30, 1).1, [99; 512]);
    assert!(bench.places().is_empty());
    // The emulator flushes when it is stopped, which no guest has asked for.
    bench.write(31, 99);
    bench.card.power_fails();
    bench.card.flush();
    bench.card.loses_power();
    assert_eq!(bench.places(), ["card, write of sector 31"]);
}

#[test]
fn a_disk_is_read_only_for_a_boot() {
    let mut bench = bench(&[(CardTrouble::ReadOnly, true, Some(1))]);
    bench.card.begin_boot(bench.card.faults.clone());
    assert!(bench.card.is_read_only());
    assert_eq!(bench.places(), ["card, read-only"]);
    bench.card.begin_boot(bench.card.faults.clone());
    assert!(!bench.card.is_read_only());
}
