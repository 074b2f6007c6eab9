// The JSON view of a record, generated from the same fields() as its encoding.
#include <boost/json.hpp>
#include <type_traits>

#include "accounting/records/codec.h"
#include "accounting/records/record.h"

namespace ufab {

namespace {

namespace json = boost::json;

class JsonVisitor {
 public:
  explicit JsonVisitor(json::object& object) : object_(object) {}

  template <class T>
  void operator()(const char* name, const T& value) {
    object_[name] = view(value);
  }
  void operator()(const char* name, const std::string& value, std::size_t) { object_[name] = value; }
  template <class T>
  void operator()(const char* name, const std::vector<T>& list, std::size_t) {
    json::array array;
    for (const T& item : list) array.push_back(view(item));
    object_[name] = std::move(array);
  }
  template <class T>
  requires std::is_enum_v<T>
  void operator()(const char* name, T value, std::uint8_t) { object_[name] = text_of(value); }

 private:
  static json::value text_of(JobKind kind) { return json::string(job_kind_name(kind)); }
  static json::value text_of(JobResult result) { return json::string(job_result_name(result)); }
  static json::value text_of(ProviderAction action) {
    return json::string(action == ProviderAction::drain    ? "drain"
                        : action == ProviderAction::resume ? "resume"
                                                           : "leave");
  }
  static json::value text_of(FaultKind kind) { return json::string(fault_kind_name(kind)); }
  static json::value text_of(StandingStatus status) { return json::string(standing_status_name(status)); }
  static json::value text_of(consensus::VoteKind kind) {
    return json::string(consensus::vote_kind_name(kind));
  }
  static json::value text_of(ScoreCause cause) {
    switch (cause) {
      case ScoreCause::block_produced: return "block_produced";
      case ScoreCause::verified: return "verified";
      case ScoreCause::missed_verification: return "missed_verification";
      case ScoreCause::slashed: return "slashed";
      case ScoreCause::missed_slot: return "missed_slot";
      case ScoreCause::missed_seed: return "missed_seed";
    }
    return nullptr;
  }

  template <class T>
  static json::value view(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      return value;
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<std::uint64_t>(value);
    } else if constexpr (std::is_same_v<T, Digest>) {
      return json::string(value.str());
    } else if constexpr (FixedBytes<T>) {
      return json::string(to_hex(value.view()));
    } else {
      json::object inner;
      JsonVisitor visitor(inner);
      T::fields(visitor, value);
      return inner;
    }
  }
  json::object& object_;
};

}  // namespace

std::string record_json(const Record& record) {
  json::object object;
  object["id"] = record_id(record).str();
  object["type"] = record_type_name(record.type());
  if (!record_type_derived(record.type())) object["signer"] = record.signer.hex();
  object["sequence"] = record.sequence;
  object["time_us"] = record.time_us;
  json::object inner;
  JsonVisitor visitor(inner);
  std::visit([&](const auto& body) { body.fields(visitor, body); }, record.body);
  object["body"] = std::move(inner);
  return json::serialize(object);
}

}  // namespace ufab
