// From kvm_run into a machine's log.
#include "exit_log.h"

#include <cstdlib>
#include <cstring>

#include "shared_run.h"
#include "synced_regs.h"

ExitLog::~ExitLog() {
  for (auto& part : parts_) free(part.load());
}

void ExitLog::Begin(const std::bitset<256>& reasons, const LogGoal& goal, const LogPorts& ports,
                    const LogHalf& half) {
  std::lock_guard<std::mutex> lock(mutex_);
  reasons_ = reasons;
  goal_ = goal;
  ports_ = ports;
  half_ = half;
  word(kOver) = 0;
  word(kWhy) = 0;
  for (size_t vcpu = 0; vcpu < kMaxVcpus; vcpu++) word(kParkedSlots + vcpu) = 0;
}

// Part n begins with slot 1024 * (2^n - 1).
LogRecord* ExitLog::At(uint32_t slot) {
  const uint64_t place = uint64_t{slot} + kFirstPart;
  const size_t index = static_cast<size_t>(63 - __builtin_clzll(place)) - 10;
  const size_t in_part = place - (uint64_t{kFirstPart} << index);
  LogRecord* records = parts_[index].load(std::memory_order_acquire);
  if (records) return records + in_part;
  std::lock_guard<std::mutex> lock(mutex_);
  records = parts_[index].load(std::memory_order_relaxed);
  if (!records) {
    records = static_cast<LogRecord*>(calloc(PartSize(index), sizeof(LogRecord)));
    if (!records) return nullptr;
    parts_[index].store(records, std::memory_order_release);
  }
  return records + in_part;
}

bool ExitLog::Matches(uint32_t reason, const uint8_t* payload, uint32_t value, bool is_word, unsigned vcpu) const {
  if (goal_.vcpu != LogGoal::kAnyVcpu && goal_.vcpu != vcpu) return false;
  uint16_t port;
  memcpy(&port, payload + offsetof(Io, port), sizeof port);
  switch (goal_.kind) {
    case LogGoal::kExits:
      return true;
    case LogGoal::kReason:
      return reason == goal_.reason;
    case LogGoal::kPort:
      return reason == KVM_EXIT_IO && port == goal_.port;
    case LogGoal::kWord:
      return is_word && port == goal_.port && value == goal_.value;
    case LogGoal::kEach:
      return is_word && port == goal_.port;
    default:
      return false;
  }
}

// Under the mutex.
bool ExitLog::Reached(unsigned vcpu) {
  if (goal_.kind == LogGoal::kEach) {
    goal_.vcpus &= ~(uint64_t{1} << vcpu);
    return goal_.vcpus == 0;
  }
  if (goal_.count > 0) goal_.count -= 1;
  return goal_.count == 0;
}

bool ExitLog::Count(uint32_t slot) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (word(kOver).load() != 0 || goal_.count == 0) return false;
  goal_.count -= 1;
  if (goal_.count > 0) return false;
  word(kWhy) = kGoal;
  word(kOver) = slot + 1;
  return true;
}

bool ExitLog::Sent(const kvm_msi& message, int delivered, uint64_t ns) {
  static_assert(sizeof message <= LogRecord::kPayloadBytes);
  LogRecord* record = At(word(kHead).fetch_add(1));
  if (!record) return false;
  record->ns = ns;
  record->rcx = static_cast<uint32_t>(delivered);
  memcpy(record->payload, &message, sizeof message);
  __atomic_store_n(&record->state, LogRecord::kMessage << 16 | LogRecord::kFilled, __ATOMIC_RELEASE);
  return true;
}

// JavaScript has the page of kvm_run too and may write it at any moment: each byte that decides anything is read once, and what
// was checked is what is used.
ExitLog::Next ExitLog::Log(const kvm_run* run, size_t run_size, unsigned vcpu, uint64_t ns) {
  const auto* page = reinterpret_cast<const uint8_t*>(run);
  const uint32_t reason = ReadOnce(run->exit_reason);
  alignas(8) uint8_t payload[LogRecord::kPayloadBytes];
  for (size_t at = 0; at < sizeof payload; at += sizeof(uint64_t)) {
    uint64_t word = ReadOnce(*reinterpret_cast<const uint64_t*>(page + kUnion + at));
    memcpy(payload + at, &word, sizeof word);
  }

  bool parks = reason >= reasons_.size() || !reasons_[reason];
  if (reason == half_.reason && half_.offset <= sizeof payload - sizeof half_.value)
    parks = memcmp(payload + half_.offset, &half_.value, sizeof half_.value) != 0;
  bool fatal = reason == KVM_EXIT_SHUTDOWN || reason == KVM_EXIT_FAIL_ENTRY || reason == KVM_EXIT_INTERNAL_ERROR;
  bool is_word = false, is_end = false;
  uint32_t value = 0;
  size_t io_bytes = 0;
  if (reason == KVM_EXIT_IO) {
    Io io;
    memcpy(&io, payload, sizeof io);
    const bool out = io.direction == KVM_EXIT_IO_OUT && (io.size == 1 || io.size == 2 || io.size == 4);
    const uint64_t bytes = uint64_t{io.size} * io.count;
    const bool fits = out && bytes <= sizeof payload - sizeof io && io.data_offset <= run_size &&
                      bytes <= run_size - io.data_offset;
    if (fits) {
      io_bytes = bytes;
      memset(payload + sizeof io, 0, sizeof payload - sizeof io);
      memcpy(payload + sizeof io, page + io.data_offset, bytes);
    }
    is_word = fits && io.count == 1 && io.size == 4;
    if (is_word) memcpy(&value, payload + sizeof io, sizeof value);
    is_end = out && io.count == 1 && io.size >= 2 && io.port == ports_.end;
    fatal = is_word && (io.port == ports_.fault || io.port == ports_.assertion);
    parks = parks || !fits || is_end;
  } else if (reason == KVM_EXIT_MMIO) {
    parks = parks || payload[kIsWrite] == 0;
  }

  uint32_t slot;
  const bool matches = !is_end && Matches(reason, payload, value, is_word, vcpu);
  if (matches || fatal) {
    std::lock_guard<std::mutex> lock(mutex_);
    slot = word(kHead).fetch_add(1);
    const bool reached = word(kOver).load() == 0 && matches && Reached(vcpu);
    if (word(kOver).load() == 0 && (reached || fatal)) {
      word(kWhy) = reached ? kGoal : kFatal;
      word(kOver) = slot + 1;
    }
  } else {
    slot = word(kHead).fetch_add(1);
  }
  // It, or another that ended the run meanwhile.
  parks = parks || word(kOver).load() != 0;

  LogRecord* record = At(slot);
  if (!record) return Next::kNoMemory;
  record->ns = ns;
  record->rip = SyncedRip(run);
  record->rcx = static_cast<uint32_t>(SyncedRcx(run));
  memcpy(record->payload, payload, sizeof payload);
  const uint32_t state = (reason & 0xffff) | (vcpu & 0xff) << 16 | static_cast<uint32_t>(io_bytes) << 24 |
                         (parks ? LogRecord::kParked : 0) | LogRecord::kFilled;
  __atomic_store_n(&record->state, state, __ATOMIC_RELEASE);
  if (!parks) return Next::kGoesOn;
  word(kParkedSlots + vcpu % kMaxVcpus) = slot + 1;
  return Next::kParks;
}
