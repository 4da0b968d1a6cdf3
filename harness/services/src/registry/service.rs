//! What a registry that is being served holds.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::auth::Auth;
use super::fault::{BreakOff, Quota};
use super::store::Content;
use super::uploads::Uploads;

/// A registry that is being served.
pub(super) struct Service {
    pub(super) content: RwLock<Content>,
    pub(super) auth: Option<Auth>,
    pub(super) quota: Option<Quota>,
    pub(super) break_off: Option<BreakOff>,
    pub(super) uploads: Option<Uploads>,
}

impl Service {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }
}
