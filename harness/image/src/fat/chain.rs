//! Chains of clusters, and whose clusters are.

use std::io::{self, Read, Seek, Write};

use super::Fault;
use super::boot_sector::Geometry;
use super::table::{Link, Table};
use crate::page_cache::SharedCache;

/// Which clusters belong to a file or directory: a bit each.
#[derive(Debug)]
pub(super) struct Claims(Vec<u64>);

impl Claims {
    /// None of `geometry`'s clusters is claimed.
    pub(super) fn new(geometry: &Geometry) -> Self {
        // Numbers begin at 2.
        Self(vec![0; (geometry.clusters as usize + 2).div_ceil(64)])
    }

    /// Claims a cluster; `false` when it has an owner already.
    fn claim(&mut self, cluster: u32) -> bool {
        let Some(word) = self.0.get_mut(cluster as usize / 64) else {
            return false;
        };
        let bit = 1 << (cluster % 64);
        let free = *word & bit == 0;
        *word |= bit;
        free
    }

    /// Whether a cluster has an owner.
    pub(super) fn contains(&self, cluster: u32) -> bool {
        let word = self.0.get(cluster as usize / 64);
        word.is_some_and(|word| word & 1 << (cluster % 64) != 0)
    }
}

/// A chain that was followed to its end.
#[derive(Debug)]
pub(super) struct Chain {
    /// Clusters up to the end or the fault.
    pub(super) clusters: u32,
    /// Why it does not end well, and where in the volume.
    pub(super) fault: Option<(u64, Fault)>,
}

/// What chains are followed in.
pub(super) struct Chains<'a, D> {
    /// The volume.
    pub(super) volume: &'a SharedCache<D>,
    /// Its parts.
    pub(super) geometry: &'a Geometry,
    /// The table to go by.
    pub(super) table: Table,
    /// Clusters of the chains followed so far.
    pub(super) claims: Claims,
}

impl<D: Read + Write + Seek> Chains<'_, D> {
    /// Follows the chain that starts at cluster `first`, as the entry at `entry` says, and claims its clusters. All chains
    /// together take as many steps as there are clusters.
    pub(super) fn follow(
        &mut self,
        first: u32,
        entry: u64,
        mut visit: impl FnMut(u32),
    ) -> io::Result<Chain> {
        let mut clusters = 0;
        let mut cluster = first;
        let mut before = None;
        // Where the number of the cluster was found.
        let mut at = entry;
        let fault = loop {
            if !self.geometry.has_cluster(cluster) {
                break Some(match before {
                    None => Fault::Start(cluster),
                    Some(before) => Fault::OutOfRange {
                        cluster: before,
                        next: cluster,
                    },
                });
            }
            if !self.claims.claim(cluster) {
                break Some(if self.is_among(first, clusters, cluster)? {
                    Fault::Loop(cluster)
                } else {
                    Fault::CrossLink(cluster)
                });
            }
            clusters += 1;
            visit(cluster);
            before = Some(cluster);
            at = self.table.offset(cluster);
            match self.table.link(self.volume, cluster)? {
                Link::End => break None,
                Link::Free => break Some(Fault::NotInUse(cluster, "free")),
                Link::Bad => break Some(Fault::NotInUse(cluster, "bad")),
                Link::Next(next) => cluster = next,
            }
        };
        Ok(Chain {
            clusters,
            fault: fault.map(|fault| (at, fault)),
        })
    }

    /// Whether `wanted` is one of the first `clusters` of a chain that is known to have so many.
    fn is_among(&self, first: u32, clusters: u32, wanted: u32) -> io::Result<bool> {
        let mut cluster = first;
        for _ in 0..clusters {
            if cluster == wanted {
                return Ok(true);
            }
            match self.table.link(self.volume, cluster)? {
                Link::Next(next) => cluster = next,
                _ => break,
            }
        }
        Ok(false)
    }
}
