//! What a chapter's organisers aim at.

/// One-to-ones of an organiser in a week, where nobody says otherwise: one a working day.
pub const ONE_TO_ONES_A_WEEK: u32 = 5;
/// Days after which somebody on the upper half of the ladder has gone quiet, where nobody says otherwise: a month and a half,
/// in which a chapter meets once at least.
pub const QUIET_AFTER_DAYS: u32 = 45;

/// What a chapter's organisers aim at. A node's operator may set it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goals {
    /// One-to-ones that an organiser holds in a week.
    pub one_to_ones_a_week: u32,
    /// Days without a conversation after which somebody on the upper half of the ladder has gone quiet.
    pub quiet_after_days: u32,
}

impl Default for Goals {
    fn default() -> Self {
        Self { one_to_ones_a_week: ONE_TO_ONES_A_WEEK, quiet_after_days: QUIET_AFTER_DAYS }
    }
}
