// How a home gets its chain: a new one, or a place on another's.
#include "jobs/node/chain.h"

#include "fabric/base/clock.h"
#include "fabric/base/codec.h"

namespace ufab::jobs {

namespace {

constexpr auto call_wait = std::chrono::seconds(10);

}  // namespace

LedgerOptions chain_options(const Home& home) {
  LedgerOptions options;
  options.folder = home.chain_folder();
  return options;
}

namespace {

Result<Answer> call_validator(PeerPool& pool, const JoinTicket& ticket, const std::string& method,
                              boost::json::object params, Bytes body) {
  return pool.call({ticket.host, ticket.port}, ticket.validator, {method, std::move(params), std::move(body)},
                   call_wait);
}

}  // namespace

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

Status join_chain(const Home& home, const HomeConfig& config) {
  UFAB_ASSERT(config.follow.has_value());
  UFAB_ASSIGN(const KeyPair key, home.load_key());
  UFAB_ASSIGN(Credentials credentials, Credentials::create(key));
  PeerPool pool(std::move(credentials));
  const auto answer = call_validator(pool, *config.follow, "chain.blocks", {{"from", 0}, {"wait_ms", 0}}, {});
  if (!answer)
    return answer.error().within("the validator at " +
                                 Endpoint{config.follow->host, config.follow->port}.str());
  Reader reader(answer->body);
  const ByteView block = reader.blob(max_body_bytes);
  if (reader.failed()) return Error{ErrorCode::invalid, "the validator sent no first block"};
  UFAB_ASSIGN(const std::unique_ptr<Ledger> ledger, Ledger::join(chain_options(home), block));
  if (ledger->chain_id() != config.follow->genesis) {
    return Error{ErrorCode::corrupt,
                 "the validator has another chain (" + ledger->chain_id().str() + ") than the ticket names"};
  }
  const Record record =
      sign_record(ledger->chain_id(), key, 1, now_us(),
                  Organisation{config.organisation, Endpoint{config.listen_host, config.listen_port}.str()});
  const auto registered = call_validator(pool, *config.follow, "chain.submit", {}, encode_record(record));
  if (!registered) return registered.error().within("registration");
  return {};
}

}  // namespace ufab::jobs
