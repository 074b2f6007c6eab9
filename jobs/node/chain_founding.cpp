// How a home gets its chain: a new one, or a place on another's.
#include "jobs/node/chain.h"

#include <memory>
#include <span>

#include "fabric/base/clock.h"
#include "fabric/base/codec.h"
#include "jobs/node/block_feed.h"

namespace ufab::jobs {

namespace {

constexpr auto call_wait = std::chrono::seconds(10);

}  // namespace

LedgerOptions chain_options(const Home& home) {
  LedgerOptions options;
  options.folder = home.chain_folder();
  return options;
}

Status found_chain(const Home& home, const HomeConfig& config, const std::string& chain_name,
                   const ChainParams& params) {
  UFAB_ASSIGN(const KeyPair key, home.load_key());
  Genesis genesis;
  genesis.chain_name = chain_name;
  genesis.organisation = config.organisation;
  genesis.endpoint = Endpoint{config.listen_host, config.listen_port}.str();
  genesis.params = params;
  const auto ledger = Ledger::create(chain_options(home), key, genesis);
  if (!ledger) return ledger.error();
  return {};
}

namespace {

// Until one of the ticket's nodes did what was asked, or said no in a way that speaks for all of them.
using TicketNodes = std::span<const JoinTicket::Node>;
template <class Ask, class Final>
Status ask_in_turn(TicketNodes nodes, const Ask& ask, const Final& is_final) {
  std::string failures;
  Status asked;
  for (const JoinTicket::Node& node : nodes) {
    asked = ask(node);
    if (asked.ok() || is_final(asked.error().code)) return asked;
    failures += (failures.empty() ? "" : "; ") + node.endpoint.str() + ": " + asked.error().message;
  }
  return Error{asked.error().code, "no node of the ticket will do: " + failures};
}

Result<Bytes> fetch_first_block(PeerPool& pool, const JoinTicket::Node& node, const Digest& chain_id) {
  UFAB_ASSIGN(const Answer answer, pool.call(node.endpoint, node.key, ask_for_blocks(0, 0), call_wait));
  Reader reader(answer.body);
  const ByteView bytes = reader.blob(max_body_bytes);
  auto block = decode_block(bytes);
  ufab::Chain chain;
  if (reader.failed() || !block.ok() || !chain.import(*std::move(block)).ok())
    return Error{ErrorCode::corrupt, "it sent no first block"};
  const Digest& other = chain.state().chain_id();
  if (other == chain_id) return Bytes(bytes.begin(), bytes.end());
  return Error{ErrorCode::corrupt, "it has another chain (" + other.str() + ") than the ticket names"};
}

}  // namespace

Status join_chain(const Home& home, const HomeConfig& config) {
  UFAB_ASSERT(config.follow.has_value());
  const JoinTicket& ticket = *config.follow;
  UFAB_ASSIGN(const KeyPair key, home.load_key());
  UFAB_ASSIGN(Credentials credentials, Credentials::create(key));
  PeerPool pool(std::move(credentials));
  Bytes block;
  const JoinTicket::Node* has_the_chain = nullptr;
  const auto fetch = [&](const JoinTicket::Node& node) -> Status {
    UFAB_ASSIGN(block, fetch_first_block(pool, node, ticket.genesis));
    has_the_chain = &node;
    return {};
  };
  UFAB_TRY(ask_in_turn(ticket.nodes, fetch, [](ErrorCode) { return false; }));
  UFAB_ASSIGN(const std::unique_ptr<Ledger> ledger, Ledger::join(chain_options(home), block));
  const Record record =
      sign_record(ledger->chain_id(), key, 1, now_us(),
                  Organisation{config.organisation, Endpoint{config.listen_host, config.listen_port}.str()});
  // The same bytes to each: whoever has it already knows the record by its id.
  const Bytes encoded = encode_record(record);
  const auto submit = [&](const JoinTicket::Node& node) -> Status {
    UFAB_TRY(pool.call(node.endpoint, node.key, {"chain.submit", {}, encoded}, call_wait));
    return {};
  };
  // Any other error is a rule of the chain that the record breaks.
  const auto broke_a_rule = [](ErrorCode code) {
    return code != ErrorCode::unavailable && code != ErrorCode::timeout && code != ErrorCode::denied;
  };
  // Those before it were of no use a moment ago.
  const TicketNodes rest(has_the_chain, std::to_address(ticket.nodes.end()));
  const Status registered = ask_in_turn(rest, submit, broke_a_rule);
  if (!registered.ok()) return registered.error().within("registration");
  return {};
}

}  // namespace ufab::jobs
