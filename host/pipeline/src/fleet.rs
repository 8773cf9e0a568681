//! One plugin set for all processes that run a pipeline, its replicas: proposed by anyone who may write to the fleet's
//! place, voted on by every replica, each on its own last batches, tried out by some of them first where that is asked
//! for, and taken up by all of them or none. There is no server: the replicas meet in a folder or a prefix of Cloud
//! Storage, and all that is decided there is decided by who creates an object first.
//!
//! ```text
//! <fleet>/<pipeline>/
//!   log/<n>.json                 entry n: a proposal, or a rollback          created by whoever asks
//!   decisions/<n>.json           of proposal n: commit or abort              created by any replica, or who asked
//!   votes/<n>/<replica>.json     on proposal n: ok, or refused and why       created by that replica
//!   canaries/<n>.json            who tries proposal n out                    created by any replica
//!   verdicts/<n>/<replica>.json  that it has done so, and what it saw        created by that replica
//!   replicas/<replica>.<k>.json  sign of life k: which set it runs           created by that replica, k-1 removed
//!   sets/, blobs/                what sets are made of, by digest            created by who proposes
//! ```
//!
//! Every object is created once and never written again, entries are numbered without a gap, and the first `n` that
//! can be created is the next: so all see one order of entries, and of two proposals at once one is told that it lost.
//!
//! **State** is a function of the log alone ([`log`]): from the first entry on, a proposal counts where it follows the
//! entry that is in effect and is committed; a rollback counts where it names the entry that is in effect, and puts
//! into effect what was before that, with the set that the proposal names as its parent. Entries behind a proposal
//! that nothing has decided yet wait for that. An entry that follows something else is void, for everybody alike.
//!
//! **A step** is a function of what is seen and of the replica itself ([`machine`]), tried again until it is done:
//!
//! | step | killed right here | another does the same now |
//! |---|---|---|
//! | keep the set in `sets/`, `blobs/` | nobody names it | the same bytes under the same digest |
//! | create `log/<n>` | it is proposed, or not | one is first, the other is told |
//! | gate, then create the vote | it counts as late, and once its signs of life stop as gone | each has its own |
//! | where some are to try it out: once every live replica said ok, create `canaries/<n>`, the first of them by name | another names them, or they are named | the first names them, the other reads that |
//! | one that is named enters the swap into the own audit log, and gives the set all batches beside what is in effect | no verdict of it will come; the next start is another replica, and begins with what is in effect | each has its own |
//! | its time is over: create the verdict | as a vote | each has its own |
//! | create `decisions/<n>`: abort at the first refusal, where one gives up what it tries out, or at the deadline; commit once every live replica said ok, and every one that is named has a verdict | another decides | the first decides, the other reads that |
//! | what was tried out stays where it is committed, else the own slot goes back | the next start reads the log, and begins with what is in effect | each has its own |
//! | enter the swap into the own audit log, take it up | the next start reads the log, and begins with it | each has its own |
//! | rules of probation give a set up: the own slot goes back at once, then abort what is open, then create a rollback | the others go on with it, and judge for themselves; the next start begins with it, and judges again | one names the entry in effect, the other is void |
//!
//! **Who is waited for**: a replica is live as long as its signs of life go on, by the clock of who looks, which starts
//! at the first one that it sees; three intervals without another and it is not waited for any more. A deadline is
//! measured by each replica from when it first sees the proposal; that of a canary, its time and the deadline, from
//! when it first sees who is named. One of those that ended or died meanwhile is waited for until then, and nobody
//! takes the set up: it may have died of that. So no two clocks are compared: a clock that runs fast gives up sooner,
//! and a clock that is wrong by years does nothing. Whoever was stopped, or cut off, reads on where it was: it follows
//! what was decided meanwhile, through its own gate, or ends with an error. None goes on with another set than the
//! fleet's for longer than the deadline, once it sees the log.
//!
//! **Hostile neighbours** may write there. What is read has a bounded size, number and form, texts are made one line,
//! and no object names a path, a grant, a limit, a secret or a stage that the pipeline file has not: a set is had by
//! its digest and made with the stages of the replica's own pipeline file, components under its own rules of trust and
//! size. What does not come to the very digest that was proposed is refused. A forged commit is a set that goes through
//! the gate of each replica that runs; a forged rollback, and a start, go through none, as any rollback and any start.
//! So who may write there may swap plugins, within the grants and rules of trust of the pipeline file. A forged refusal
//! or a flood of names keeps the fleet where it is; forged names of who tries a set out, and forged verdicts, abort it,
//! or have it committed without being tried out, as a forged commit does. Who removes entries begins the log anew for
//! the next start.

pub(crate) mod canary;
pub(crate) mod error;
pub(crate) mod follow;
pub(crate) mod log;
pub(crate) mod machine;
pub(crate) mod membership;
pub(crate) mod objects;
pub(crate) mod operator;
pub(crate) mod place;
pub(crate) mod propose_error;
pub(crate) mod replica;
pub(crate) mod standing;
