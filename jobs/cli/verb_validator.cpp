// validator stand|leave|status.
#include <boost/json.hpp>
#include <cstdio>

#include "accounting/records/codec.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/owner_key.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;

std::uint64_t number(const json::object& object, const char* field) {
  return object.at(field).to_number<std::uint64_t>();
}

std::string amount(const json::object& object, const char* field) {
  return format_amount(number(object, field));
}

unsigned long long long_of(const json::object& object, const char* field) {
  return number(object, field);
}

Result<json::object> ask_status(const Invocation& invocation) {
  UFAB_ASSIGN(Answer answer, ask_node(invocation, "validator.status", {}));
  return std::move(answer.result);
}

// What has to happen before a candidate is in office, and when that can be.
void print_what_is_next(const json::object& status) {
  const unsigned long long standing = long_of(status, "standing");
  const unsigned long long least = long_of(status, "validators_min");
  if (number(status, "stake_micro") < number(status, "stake_min_micro")) {
    std::printf("next: `ufab account stake AMOUNT`: %s is staked, a seat takes %s at least\n",
                amount(status, "stake_micro").c_str(), amount(status, "stake_min_micro").c_str());
  } else if (standing < least) {
    std::printf("next: wait: %llu of at least %llu stand; until then those in office stay\n", standing,
                least);
  } else {
    std::printf(
        "next: keep the node up: the seats are formed at block %llu, now %llu, from the pledges; the "
        "last seat took %s\n",
        long_of(status, "next_epoch_height"), long_of(status, "height"),
        amount(status, "seat_price_micro").c_str());
  }
}

VerbResult stand(const Invocation& invocation, Words words) {
  bool new_key = false;
  std::string key;
  CommandLine line(
      "validator stand [--new-key] [--key FILE]",
      "Makes validator.key in this home and stands with it for a seat from the next epoch on. The pledge is\n"
      "what the organisation has staked. A validator runs `ufab up` without a break on a machine with a "
      "right\n"
      "clock, reached by the other validators at its node's address: it signs votes with validator.key, "
      "makes\n"
      "blocks when it leads, and files its share of each epoch's seed. What it misses costs score, and then\n"
      "the seat; two votes that contradict each other cost the stake. So never run the key on two machines,\n"
      "and never bring back an older copy of the home: a key whose log of votes is lost is to be retired.");
  line.flag("--new-key", new_key,
            "retire the key of this home and stand with a new one: its vote log is lost");
  line.text("--key", key, owner_key_help);
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const json::object before, ask_status(invocation));
  UFAB_ASSIGN(const std::string organisation, json_text(before, "organisation"));
  const auto body = [&](const OwnerKey& owner) -> Result<RecordBody> {
    if (owner.organisation != organisation) {
      return Error{ErrorCode::denied,
                   "that is the key of " + owner.organisation + ", and this home is " + organisation + "'s"};
    }
    UFAB_ASSIGN(const Answer answer, ask_node(invocation, "validator.offer", {{"new_key", new_key}}));
    UFAB_ASSIGN(ValidatorStand offer, decode_fields<ValidatorStand>(answer.body, "the node's answer"));
    return RecordBody(offer);
  };
  UFAB_ASSIGN(const int done,
              file_as_owner(invocation, key, body, {{"kind", "validator_stand"}, {"new_key", new_key}},
                            organisation + " stands for a seat"));
  UFAB_ASSIGN(const json::object status, ask_status(invocation));
  print_what_is_next(status);
  return done;
}

VerbResult leave(const Invocation& invocation, Words words) {
  std::string key;
  CommandLine line(
      "validator leave [--key FILE]",
      "Stands no more from the next epoch on. A seat in office has its duties until then, and for\n"
      "longer while too few others stand; what is unstaked comes free after the unbonding time.");
  line.text("--key", key, owner_key_help);
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(
      const int done,
      file_as_owner(
          invocation, key, [](const OwnerKey&) { return Result<RecordBody>(RecordBody(ValidatorLeave{})); },
          {{"kind", "validator_leave"}}, "stands no more"));
  UFAB_ASSIGN(const json::object status, ask_status(invocation));
  if (status.at("seat").is_object()) {
    std::printf(
        "next: keep the node up until block %llu, now %llu, and `ufab validator status` shows no seat\n",
        long_of(status, "next_epoch_height"), long_of(status, "height"));
  }
  return done;
}

VerbResult show_status(const Invocation& invocation, Words words) {
  bool as_json = false;
  CommandLine line(
      "validator status [--json]",
      "Whether this organisation stands and is in office, what it missed, and all seats in office.");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const json::object status, ask_status(invocation));
  if (as_json) {
    print_json(status);
    return 0;
  }
  const auto text = [](const json::value& value) { return std::string(value.as_string()); };
  const bool stands = status.at("candidacy").is_object();
  const bool seated = status.at("seat").is_object();
  std::printf("organisation  %s\n", text(status.at("organisation")).c_str());
  std::printf(
      "stands        %s\n",
      stands ? ("with key " + text(status.at("candidacy").at("key")).substr(0, 12) + "…").c_str() : "no");
  std::printf("seat          %s\n",
              seated ? ("in office with key " + text(status.at("seat").at("key")).substr(0, 12) + "…").c_str()
                     : "none");
  std::printf("stake         %s, at least %s\n", amount(status, "stake_micro").c_str(),
              amount(status, "stake_min_micro").c_str());
  if (stands || seated)
    std::printf("key           %s\n",
                status.at("has_key").as_bool() ? "here" : "not in this home: it cannot vote");
  if (seated) {
    std::printf("this epoch    %llu blocks made, %llu slots missed, share of the seed %s\n",
                long_of(status, "blocks_produced"), long_of(status, "slots_missed"),
                text(status.at("seat").at("seed_share")).c_str());
  }
  std::printf("next epoch    at block %llu, now %llu; %llu stand, at least %llu are needed\n",
              long_of(status, "next_epoch_height"), long_of(status, "height"), long_of(status, "standing"),
              long_of(status, "validators_min"));
  const json::array& seats = status.at("seats").as_array();
  if (seats.empty()) std::puts("seats         none: the founder makes blocks alone");
  for (const json::value& entry : seats) {
    const json::object& seat = entry.as_object();
    std::printf("              %-16s pledge %20s  power %12llu MFLOP  weight %7llu ppm\n",
                text(seat.at("organisation")).c_str(), amount(seat, "pledge_micro").c_str(),
                long_of(seat, "power_mflop"), long_of(seat, "weight_ppm"));
  }
  return 0;
}

}  // namespace

VerbResult verb_validator(const Invocation& invocation, Words words) {
  const std::string verb = words.empty() ? "" : words[0];
  const Words rest = words.empty() ? words : words.subspan(1);
  if (verb == "stand") return stand(invocation, rest);
  if (verb == "leave") return leave(invocation, rest);
  if (verb == "status") return show_status(invocation, rest);
  const char* usage = "usage: ufab validator stand|leave|status";
  if (verb == "--help" || verb == "-h") {
    std::puts(usage);
    return 0;
  }
  return Error{ErrorCode::usage, usage};
}

}  // namespace ufab::jobs
