#include "accounting/state/entry_codec.h"

#include "accounting/records/codec.h"

namespace ufab {

namespace {

// Of lists whose length the rules bound less simply; so long a one would not fit in a snapshot either.
constexpr std::size_t list_max = 1 << 20;

template <class S, class T>
concept Of = std::same_as<std::remove_const_t<S>, T>;

// A part of a record, which lists its fields itself.
template <class T>
concept RecordPart = requires(EncodeVisitor& visitor, const T& value) {
  T::fields(visitor, value);
};

class EntryWriter {
 public:
  explicit EntryWriter(Writer& writer) : writer_(writer), parts_(writer) {}

  void operator()(bool value) { writer_.flag(value); }
  void operator()(std::uint32_t value) { writer_.u32(value); }
  void operator()(std::uint64_t value) { writer_.u64(value); }
  template <FixedBytes T>
  void operator()(const T& value) {
    writer_.raw(value.view());
  }
  template <RecordPart T>
  void operator()(const T& value) {
    T::fields(parts_, value);
  }
  template <class T>
  void operator()(const T& value) {
    entry_fields(*this, value);
  }
  template <class T>
  void one_of(T value, T) {
    writer_.u8(static_cast<std::uint8_t>(value));
  }
  void text(const std::string& value, std::size_t) { writer_.text(value); }
  template <class T>
  void optional(const std::optional<T>& value) {
    writer_.flag(value.has_value());
    if (value) (*this)(*value);
  }
  // `value` counts only if `present`, which was read before it.
  template <class T>
  void only_if(bool present, const T& value) {
    if (present) (*this)(value);
  }
  template <class T>
  void list(const std::vector<T>& list, std::size_t) {
    writer_.u32(static_cast<std::uint32_t>(list.size()));
    for (const T& item : list) (*this)(item);
  }

 private:
  Writer& writer_;
  EncodeVisitor parts_;
};

class EntryReader {
 public:
  explicit EntryReader(Reader& reader) : reader_(reader), parts_(reader) {}

  void operator()(bool& value) { value = reader_.flag(); }
  void operator()(std::uint32_t& value) { value = reader_.u32(); }
  void operator()(std::uint64_t& value) { value = reader_.u64(); }
  template <FixedBytes T>
  void operator()(T& value) {
    const ByteView bytes = reader_.raw(value.bytes.size());
    if (bytes.size() == value.bytes.size()) std::copy(bytes.begin(), bytes.end(), value.bytes.begin());
  }
  template <RecordPart T>
  void operator()(T& value) {
    T::fields(parts_, value);
  }
  template <class T>
  void operator()(T& value) {
    entry_fields(*this, value);
  }
  template <class T>
  void one_of(T& value, T last) {
    const std::uint8_t number = reader_.u8();
    if (number > static_cast<std::uint8_t>(last)) reader_.fail("an enumeration value that does not exist");
    value = static_cast<T>(number);
  }
  void text(std::string& value, std::size_t size_max) {
    value = reader_.text(size_max);
    if (!is_printable_utf8(value)) reader_.fail("text that is not printable UTF-8");
  }
  template <class T>
  void optional(std::optional<T>& value) {
    if (reader_.flag()) (*this)(value.emplace());
  }
  template <class T>
  void only_if(bool present, T& value) {
    if (present) (*this)(value);
  }
  template <class T>
  void list(std::vector<T>& list, std::size_t count_max) {
    const std::uint32_t count = reader_.count(count_max, 4);
    list.reserve(std::min<std::size_t>(count, 1024));  // no more on the word of a hostile count
    for (std::uint32_t i = 0; i < count && !reader_.failed(); ++i) (*this)(list.emplace_back());
  }

 private:
  Reader& reader_;
  DecodeVisitor parts_;
};

template <class V, Of<GlobalEntry> S>
void entry_fields(V& v, S& s) {
  v(s.chain_id);
  v(s.height);
  v(s.epoch);
  v(s.epoch_seed);
  v.list(s.seats, seats_limit);
  v.list(s.kicked, seats_limit);
  v(s.derived_sequence);
  v(s.minted);
  v(s.burned);
  v(s.job_last);
}

template <class V, Of<EpochAmount> S>
void entry_fields(V& v, S& s) {
  v(s.epoch);
  v(s.amount);
}

template <class V, Of<FaultEntry> S>
void entry_fields(V& v, S& s) {
  v.one_of(s.kind, FaultKind::benchmark_refuted);
  v(s.job);
  v(s.by);
  v(s.height);
  v(s.epoch);
  v(s.points);
}

template <class V, Of<Standing> S>
void entry_fields(V& v, S& s) {
  v.one_of(s.status, StandingStatus::expelled);
  v(s.points);
  v(s.step);
  v(s.until_epoch);
  v(s.calm_epochs);
  v.list(s.recent, faults_recent_max);
}

template <class V, Of<AgentEntry> S>
void entry_fields(V& v, S& s) {
  v(s.key);
  v(s.sequence);
  v(s.refusals);
  v(s.allowance);
  v(s.escrowed);
  v(s.spent);
}

template <class V, Of<ProviderEntry> S>
void entry_fields(V& v, S& s) {
  v(s.offer);
  v.one_of(s.status, ProviderStatus::left);
  v(s.leases_open);
  v(s.freed_us);
}

template <class V, Of<Candidacy> S>
void entry_fields(V& v, S& s) {
  v(s.key);
  v(s.vrf_key);
  v(s.protocol);
  v(s.height);
}

template <class V, Of<BenchmarkEntry> S>
void entry_fields(V& v, S& s) {
  v(s.challenge_height);
  v(s.challenge);
  v(s.semantics_version);
  v(s.repeats);
  v(s.lanes_digest);
  v(s.lanes_count);
  v(s.mflops);
  v(s.epoch_filed);
  v(s.epoch_end);
  v(s.deadline_height);
  v.one_of(s.check, BenchmarkState::withdrawn);
  v(s.verifier);
  v(s.lane);
  v(s.rounds);
  v(s.on_proof);
}

template <class V, Of<LinksEntry> S>
void entry_fields(V& v, S& s) {
  v(s.epoch);
  v(s.filed_us);
  v.list(s.peers, links_max);
}

template <class V, Of<PeriodUse> S>
void entry_fields(V& v, S& s) {
  v(s.period);
  v(s.slot_s);
}

template <class V, Of<OrgEntry> S>
void entry_fields(V& v, S& s) {
  v(s.id);
  v.text(s.name, name_size_max);
  v.text(s.endpoint, endpoint_size_max);
  v(s.key);
  v(s.sequence);
  v.optional(s.agent);
  v.optional(s.provider);
  v.optional(s.candidacy);
  v(s.score);
  v.list(s.unbonding, list_max);
  v.list(s.power, list_max);
  v(s.verified_mflop);
  v(s.blocks_produced);
  v(s.slots_missed);
  v(s.duties_done);
  v(s.duties_missed);
  v(s.receipts_good);
  v(s.receipts_bad);
  v(s.refusals);
  v(s.standing);
  v.optional(s.benchmark);
  v.optional(s.links);
  v.list(s.used, use_periods_max);
  v(s.escrowed);
  v(s.spent);
}

template <class V, Of<MemberEntry> S>
void entry_fields(V& v, S& s) {
  v(s.share);
  v(s.leased);
  v.only_if(s.leased, s.lease);
  v(s.leased_us);
}

template <class V, Of<AttemptEntry> S>
void entry_fields(V& v, S& s) {
  v(s.number);
  v(s.window_first);
  v(s.asked_us);
  v(s.blamed);
  v.list(s.members, members_max);
  v(s.ended_us);
}

template <class V, Of<UsageEntry> S>
void entry_fields(V& v, S& s) {
  v(s.receipt);
  v(s.provider);
  v(s.filed_height);
}

template <class V, Of<JobEntry> S>
void entry_fields(V& v, S& s) {
  v(s.id);
  v(s.owner);
  v(s.order);
  v(s.agent);
  v.one_of(s.phase, JobPhase::settled);
  v.list(s.attempts, list_max);
  v(s.windows_complete);
  v.list(s.excluded, list_max);
  v.list(s.verifiers_late, list_max);
  v(s.deadline);
  v(s.validation_round);
  v.optional(s.usage);
  v.optional(s.cancelled);
  v.optional(s.settlement);
  v(s.order_height);
  v(s.order_us);
  v(s.settled_height);
}

template <class V, Of<MemberReceipt> S>
void entry_fields(V& v, S& s) {
  v(s.filed);
  v(s.digest);
  v(s.countersigned);
}

template <class V, Of<WindowEntry> S>
void entry_fields(V& v, S& s) {
  v(s.window);
  v(s.attempt);
  v(s.complete);
  v.one_of(s.check, WindowCheck::unverifiable);
  v(s.verifier);
  v(s.first_us);
  v.list(s.receipts, members_max);
}

template <class V, Of<UsageImportEntry> S>
void entry_fields(V& v, S& s) {
  v(s.record);
  v.text(s.cluster, name_size_max);
  v(s.external_id);
  v(s.submit_us);
}

template <class V, Of<Committee::Member> S>
void entry_fields(V& v, S& s) {
  v(s.organisation);
  v(s.key);
  v(s.convicted);
}

template <class V, Of<Committee> S>
void entry_fields(V& v, S& s) {
  v(s.stayed);
  v.list(s.members, seats_limit);
}

template <class V, Of<TakenKey> S>
void entry_fields(V& v, S& s) {
  v(s.key);
  v(s.organisation);
  v.one_of(s.role, KeyRole::validator);
}

template <class V, Of<PastJob::Lease> S>
void entry_fields(V& v, S& s) {
  v(s.attempt);
  v(s.provider);
}

template <class V, Of<PastJob> S>
void entry_fields(V& v, S& s) {
  v(s.until);
  v.list(s.leases, list_max);
}

template <class Entry>
void put(Writer& writer, const Entry& entry) {
  EntryWriter visitor(writer);
  visitor(entry);
}

}  // namespace

void encode_entry(Writer& writer, const GlobalEntry& entry) {
  put(writer, entry);
}
void encode_entry(Writer& writer, const OrgEntry& entry) {
  put(writer, entry);
}
void encode_entry(Writer& writer, const JobEntry& entry) {
  put(writer, entry);
}
void encode_entry(Writer& writer, const WindowEntry& entry) {
  put(writer, entry);
}
void encode_entry(Writer& writer, const UsageImportEntry& entry) {
  put(writer, entry);
}
void encode_entry(Writer& writer, const Committee& entry) {
  put(writer, entry);
}
void encode_entry(Writer& writer, const TakenKey& entry) {
  put(writer, entry);
}
void encode_entry(Writer& writer, const PastJob& entry) {
  put(writer, entry);
}

template <class Entry>
Result<Entry> decode_entry(ByteView value) {
  Entry entry;
  Reader reader(value);
  EntryReader visitor(reader);
  visitor(entry);
  UFAB_TRY(reader.finish("an entry of the state"));
  return entry;
}

template Result<GlobalEntry> decode_entry(ByteView value);
template Result<OrgEntry> decode_entry(ByteView value);
template Result<JobEntry> decode_entry(ByteView value);
template Result<WindowEntry> decode_entry(ByteView value);
template Result<UsageImportEntry> decode_entry(ByteView value);
template Result<Committee> decode_entry(ByteView value);
template Result<TakenKey> decode_entry(ByteView value);
template Result<PastJob> decode_entry(ByteView value);

}  // namespace ufab
