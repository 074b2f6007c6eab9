// Weighted Simplex: organisations that do not trust each other agree on one chain of blocks. Published:
// Chan and Pass, "Simplex Consensus: A Simple and Fast Consensus Protocol", TCC 2023. What differs here:
// quorums by weight and by stake, epochs with their own validators, votes on disk before they are sent,
// repair on demand instead of flooding.
//
// A pure function of its inputs: step(state, event) changes the state and returns actions. No clock, no
// socket, no file, no randomness. The driver performs the actions and reports back in events. Not
// thread-safe: one caller. Signatures are checked inside; a driver that checks them on other threads gives
// a scheme that remembers. A vote that its author sends itself is counted first and checked when something
// would rest on it: when it would make a quorum, or conflicts with another. So the last votes of a view,
// which change nothing any more, cost no check. Nothing that is told to others holds an unchecked signature.
//
// The protocol. Time is cut into views 1, 2, … of an epoch, each with one leader.
// - A leader proposes one block. It extends a parent of an earlier view p.
// - A validator in view v votes to NOTARISE the first acceptable proposal of v: signed by the leader; its
//   parent is notarised, or is the last finalised block; every view between p and v has a skip certificate;
//   the application finds it valid. Once per view.
// - When the view's time is over it votes to SKIP, unless it has voted to finalise in that view.
// - A quorum of either kind is a certificate, and whoever has one for v goes on to v + 1.
// - Who sees a notarisation of v and has not voted to skip v votes to FINALISE that block.
// - A quorum of finalise votes makes the block final, and with it all its ancestors.
//
// Safety. Let dishonest validators have at most a third of the weight, or at most a third of the stake. A
// quorum is more than two thirds of both, so two quorums share more than a third of both, and so an honest
// validator.
// (1) One view notarises at most one block: an honest validator votes to notarise once per view.
// (2) A view with a finalised block has no skip certificate: an honest validator would have voted both to
//     finalise and to skip in that view. Both orders are forbidden, hence the two votes conflict: they are
//     evidence.
// (3) Say b is finalised in view v, and b' is notarised in a view v' > v. Then b' descends from b. By
//     induction over v': an honest validator voted for b', so its parent p' was notarised or final in a
//     view p < v', and all views between have skip certificates. p < v would need one for v, against (2). p
//     = v means that p' is b, by (1), for a finalised block is notarised: an honest validator votes to
//     finalise only what it saw notarised. p > v: p' descends from b by induction.
// (4) So of two finalised blocks one descends from the other; along a chain heights grow by one, and two at
//     one height are the same. (Seals, below, share the height of the epoch's last block and carry
//     nothing.)
// Nothing here needs time: delay, loss, reordering and any number of crashes cannot break it, as long as an
// honest validator remembers its votes.
//
// Durability. Actions are ordered. A PersistVote comes before the Broadcast of what it holds, and the
// driver has it synced before it performs anything that comes after it, in this step or a later one. A
// driver that dies in between has sent nothing that it would not remember. start() reads the records back
// and the rules above hold across lives. A record carries what the vote rests on: the block with a notarise
// vote, so that a notarised block is on the disks of a quorum; the notarisation with a finalise vote,
// because its author can never help to skip that view and must be able to show the others why. Records of
// views up to the driver's durable last finalised block may be dropped. A validator whose log is lost must
// not vote: State::observer. It is also set, with the action RetireKey, when a vote of one's own comes in
// that is not in the log. An observer follows, verifies, serves, and never signs.
//
// Liveness, once messages arrive within some bound: more than two thirds of both kinds honest and running
// are enough. A view ends for everyone, for if no honest validator voted to finalise in it all of them vote
// to skip when its time is over, and if one did it has the notarisation durably and sends it to whoever it
// hears voting to skip. Time-outs double with every skipped view, up to a bound, and are halved with every
// notarised one, so in time an honest leader's view is long enough for all. While nothing is finalised for
// a standstill period every node sends again, bounded per period, what others may lack: its votes, the
// certificates since the last finalised block, the proposal of the view. It then also votes to skip older
// views that it has no certificate of and has not voted to finalise: whoever had one may have crashed and
// lost it, and no block can be built over a view without. Who lacks a block asks a signer of its
// certificate, or of one that builds on it, another one each period; who lacks finalised blocks asks for the
// chain. A leader does not wait for a full block: the driver answers BuildPayload when there is enough or
// fill_ms are over.
//
// Epochs. Validators are fixed for an epoch, which ends with the block at its last height. A block after
// that one is a seal: no payload, same height, there only so that the last block can be finalised through
// it. When the last block is final the core says EpochEnded and waits for EpochBegins with the next list:
// no view of an epoch runs before the one before is final.
//
// Bounds. Slots exist for at most Limits::window views after the last finalised one; beyond it nothing
// advances until something is finalised. Single votes: one a kind, view and validator, of views within
// ahead/kept of the current one and of the oldest open views, those that have no certificate here, which
// may have to be made of old votes; plus two signatures in an evidence report. Proposals: two a view, of
// views up to proposals_ahead in front. All payloads together: Limits::held_size; when half of that is full,
// leaders ask for frugal blocks; what has no room is not taken or not proposed, and what becomes final is
// fetched as chain.
// memory_bound() adds it up; it is asserted. (What start() was given of later epochs comes on top: as much
// as the log held.) A peer cannot make any of this grow: what is kept is signed by the validator that it is
// kept for.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "accounting/consensus/vote_log.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

using Peer = PublicKey;  // who a message came from, by the link's authentication

struct Limits {
  std::uint64_t window = 4096;          // views
  std::uint64_t ahead = 16;             // views in front of the current one
  std::uint64_t kept = 16;              // views behind the current one
  std::size_t open = 64;                // older views without a certificate, of which votes are kept
  std::size_t payload_size = 4U << 20;  // bytes of one block
  std::size_t held_size = 256U << 20;   // bytes of all payloads that are not final; at least 6 payload_size
  std::uint32_t rebroadcast = 32;       // views covered by one rebroadcast
  std::size_t answers = 16;             // blocks sent to one peer in a standstill period
  std::size_t peers = 1024;             // that are no validators and are answered in a standstill period
};
inline constexpr std::uint64_t proposals_ahead = 2;  // views in front of the current one

struct Timing {
  std::uint64_t fill_ms = 1000;        // a leader's block is proposed after that at the latest, even empty
  std::uint64_t view_ms = 3000;        // more than fill_ms: when a view is voted to be skipped
  std::uint32_t doublings_max = 6;     // of view_ms
  std::uint64_t standstill_ms = 8000;  // without a finalised block: then it is sent again
};

struct BlockRef {
  View view = 0;  // 0: the last block before the epoch
  std::uint64_t height = 0;
  Digest digest;

  friend bool operator==(const BlockRef&, const BlockRef&) = default;
};

// What is the same for all nodes throughout an epoch.
struct Epoch {
  Digest chain_id;
  std::uint64_t number = 0;
  ValidatorSet validators;
  LeaderSchedule leader;
  BlockRef anchor;                // the last block of the epoch before, with view 0
  std::uint64_t last_height = 0;  // above the anchor's
};
using EpochPtr = std::shared_ptr<const Epoch>;

// What is fixed for a node. The pointers outlive the state.
struct Config {
  Limits limits;
  Timing timing;
  const SignatureScheme* scheme = nullptr;
  const Signer* signer = nullptr;  // null: an observer for ever
};

// --- events

struct MessageReceived {
  Peer from;
  Message message;
};
enum class Timer : std::uint8_t { view, standstill };
struct TimerFired {
  Timer timer = Timer::view;
  View view = 0;  // as it was set
};
// The application's answer to BuildPayload; one that comes too late is ignored. Precondition: within
// bytes_max.
struct PayloadReady {
  View view = 0;
  Bytes payload;
};
// The application's answer to ValidateBlock.
struct BlockValidated {
  View view = 0;
  Digest block;
  bool valid = false;
};
// An answer to RequestChain: consecutive finalised blocks after the one asked for, and the certificate that
// finalises the last of them.
struct ChainReceived {
  Peer from;
  std::vector<ProposalPtr> blocks;
  CertificatePtr certificate;
};
// Precondition: EpochEnded was returned, and this is the epoch after it.
struct EpochBegins {
  EpochPtr epoch;
};
using Event =
    std::variant<MessageReceived, TimerFired, PayloadReady, BlockValidated, ChainReceived, EpochBegins>;

// --- actions, to be performed in order

struct PersistVote {
  VoteRecord record;
};
struct Broadcast {  // to all peers, the own node excepted
  Message message;
};
struct Send {
  Peer to;
  Message message;
};
struct SetTimer {  // replaces one of the same name
  Timer timer = Timer::view;
  View view = 0;
  std::uint64_t after_ms = 0;
};
struct CancelTimer {
  Timer timer = Timer::view;
};
// Answer with PayloadReady once there is enough for a block, or after wait_ms with what there is. Frugal:
// with no more in it than it cannot do without.
struct BuildPayload {
  View view = 0;
  BlockRef parent;
  std::size_t bytes_max = 0;
  std::uint64_t wait_ms = 0;
  bool frugal = false;
};
// Answer with BlockValidated. The parent is valid or final by then.
struct ValidateBlock {
  ProposalPtr block;
};
// Every finalised block once, in order. The certificate finalises this block or a later one that is delivered
// in the same step. A seal (header.seal) is kept as part of the proof and changes no state.
struct Deliver {
  ProposalPtr block;
  CertificatePtr certificate;
};
struct EpochEnded {
  std::uint64_t number = 0;
  BlockRef last;  // the last block that is no seal
};
struct ReportEvidence {
  Evidence evidence;
};
// Ask that peer for finalised blocks of that epoch that come after that view.
struct RequestChain {
  Peer from;
  std::uint64_t epoch = 0;
  View after_view = 0;
};
enum class Offence : std::uint8_t { bad_signature, bad_certificate, bad_proposal, bad_chain };
struct Penalise {
  Peer peer;
  Offence offence = Offence::bad_signature;
};
// A vote by the own key that is not in the log: the log has lost it. The key must never sign again.
struct RetireKey {
  Vote vote;
};
// Two certificates that finalise conflicting blocks: more dishonest weight than the protocol allows. It
// stops.
struct ReportFork {
  CertificatePtr ours, theirs;
};
using Action =
    std::variant<PersistVote, Broadcast, Send, SetTimer, CancelTimer, BuildPayload, ValidateBlock, Deliver,
                 EpochEnded, ReportEvidence, RequestChain, Penalise, RetireKey, ReportFork>;
using Actions = std::vector<Action>;

// --- state: a value; copy it, compare runs with it. Changed by step() alone.

enum class Validity : std::uint8_t { unknown, asked, valid, invalid };

struct Candidate {
  ProposalPtr proposal;
  Validity validity = Validity::unknown;
};

struct KeptVote {
  Digest block;
  Signature signature;
  bool checked = false;  // else it came from its author, over its own link
};

// The votes of one validator in one view, by kind (VoteKind - 1).
struct Ballot {
  std::array<std::optional<KeptVote>, 4> votes;
  bool reported = false;  // evidence against it is out
};

struct Slot {
  std::vector<Ballot> ballots;  // by seat; empty: none kept
  std::vector<Candidate> candidates;
  CertificatePtr notarised;  // a finalise certificate serves too
  CertificatePtr skipped;
  std::array<std::optional<Vote>, 4> own;  // what this node has signed, by kind
  bool requested = false;                  // the body of the notarised block, in this standstill period
};

struct State {
  Config config;
  EpochPtr epoch;
  std::optional<Seat> seat;  // of the own key in this epoch
  bool observer = false;     // never votes
  bool ended = false;        // waits for EpochBegins
  bool halted = false;       // after ReportFork
  View view = 0;
  bool leading = false;  // in this view
  View certified = 0;    // the highest view with a certificate
  std::uint32_t doublings = 0;
  BlockRef tip;                              // the last finalised block
  BlockRef last;                             // the last finalised block that is no seal
  CertificatePtr tip_proof, previous_proof;  // of the tip; of the end of the epoch before
  std::map<View, Slot> slots;                // views in (tip.view, tip.view + window]
  CertificatePtr pending;                    // finalises a block whose ancestors are not all here
  std::optional<Peer> pending_from;
  bool pending_requested = false;
  struct Building {
    View view = 0;
    BlockRef parent;
    std::size_t bytes_max = 0;
  };
  std::optional<Building> building;    // between BuildPayload and PayloadReady
  std::size_t held_size = 0;           // bytes of all candidates' payloads
  std::vector<VoteRecord> remembered;  // of the log: epochs that have not begun again yet
  // In this standstill period:
  std::pair<std::uint64_t, View> tip_at_tick;  // epoch and view when it began
  struct Courtesy {
    bool helped = false;  // was sent a certificate that it lacked
    std::size_t answers = 0;
  };
  std::map<Peer, Courtesy> courtesies;
  bool hinted = false;  // somebody claims to be ahead, and was asked
  bool chain_requested = false;
  std::optional<Peer> chain_from;  // it has sent a chain: there may be more
  // Across periods:
  View cursor = 0;          // rebroadcast goes on here
  std::uint64_t retry = 0;  // whom to ask next
};

struct Restored {
  EpochPtr epoch;
  BlockRef tip;              // the last durable finalised block of this epoch, or the anchor
  BlockRef last;             // the last one that is no seal
  CertificatePtr tip_proof;  // null if the tip is the anchor
  // Empty optional: the log is lost or corrupt. A key that never voted has an empty log.
  std::optional<std::vector<VoteRecord>> log;
};

struct Started {
  State state;
  Actions actions;
};

// Precondition: the configuration keeps its own bounds (view_ms > fill_ms, held_size >= 6 × payload_size …).
[[nodiscard]] Started start(const Config& config, const Restored& restored);
[[nodiscard]] Actions step(State& state, const Event& event);

// Bytes that a state may take with n validators, shared proposals and certificates counted once for each
// holder.
[[nodiscard]] std::size_t memory_bound(const Limits& limits, std::size_t validators);
[[nodiscard]] std::size_t memory_used(const State& state);

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
