// The exits of a machine's vCPUs, and the messages to them, in one order, as whoever runs or sends them puts them there.
#pragma once

#include <linux/kvm.h>

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

// One exit, or one KVM_SIGNAL_MSI. lib/kvm/vcpu/run/exit-log.ts reads the same layout.
struct LogRecord {
  static constexpr size_t kPayloadBytes = 40;

  uint64_t ns;  // CLOCK_MONOTONIC
  uint64_t rip;
  uint32_t rcx;  // its low half; of a message what KVM_SIGNAL_MSI gave
  // Written last: 0 before the rest is there. Bits 15:0 kvm_run.exit_reason, 23:16 the vCPU's number, 29:24 how many bytes of
  // KVM_EXIT_IO's data follow its payload, kParked, kFilled. Of a message no reason, and kMessage for the vCPU.
  uint32_t state;
  uint8_t payload[kPayloadBytes];  // of an exit; or a struct kvm_msi

  static constexpr uint32_t kMessage = 0xff;
  static constexpr uint32_t kParked = 1u << 30;  // somebody has looked at it, or will: it may have more than is here
  static constexpr uint32_t kFilled = 1u << 31;
};
static_assert(sizeof(LogRecord) == 64, "lib/kvm/vcpu/run/exit-log.ts reads 64 bytes");

// What ends a run by itself, and what needs somebody to look at it.
struct LogGoal {
  enum Kind : uint32_t {
    kNone = 0,    // no exit ends the run
    kExits = 1,   // any exit counts
    kReason = 2,  // of this reason
    kPort = 3,    // an access to this port
    kWord = 4,    // an `out` of 4 bytes of this value to this port
    kEach = 5,    // an `out` of 4 bytes to this port, once by each of `vcpus`
  };
  static constexpr uint32_t kAnyVcpu = ~0u;

  uint32_t kind = kNone;
  uint32_t reason = 0;
  uint32_t port = 0;
  uint32_t value = 0;
  uint32_t vcpu = kAnyVcpu;
  uint64_t count = 1;
  uint64_t vcpus = 0;  // a bit each
};

// The ports by which a guest says that it cannot go on. An `out` of 4 bytes to `fault` or `assert` ends the run; one of 2 or 4
// to `end` is somebody's to look at, and counts for no goal.
struct LogPorts {
  uint16_t fault = 0;
  uint16_t assertion = 0;
  uint16_t end = 0;
};

// Exits of a reason that is somebody's to look at, but for those that are half of something: they go on.
struct LogHalf {
  static constexpr uint32_t kNone = ~0u;

  uint32_t reason = kNone;
  uint32_t offset = 0;  // of a word of the payload,
  uint32_t value = 0;   // which is this
};

// Slots of one size, taken in one order by vCPUs' threads and by JavaScript, which has the words of `control` as well.
class ExitLog {
 public:
  static constexpr size_t kMaxVcpus = 64;
  // The words of `control`. The last ones: by vCPU, the slot of the exit that somebody is to look at, plus 1.
  enum Word : size_t { kHead = 0, kOver = 1, kWhy = 2, kParkedSlots = 16, kWords = kParkedSlots + kMaxVcpus };
  // Why the run is over with the exit whose slot, plus 1, kOver has.
  enum Why : uint32_t { kGoal = 1, kFatal = 2 };
  // What becomes of an exit's vCPU.
  enum class Next { kGoesOn, kParks, kNoMemory };

  ExitLog() = default;
  ~ExitLog();
  ExitLog(const ExitLog&) = delete;
  ExitLog& operator=(const ExitLog&) = delete;

  // A run begins; no thread is at work. `reasons`: the exits that nobody has to look at, whose payload has room.
  void Begin(const std::bitset<256>& reasons, const LogGoal& goal, const LogPorts& ports, const LogHalf& half = {});

  // The thread that has run the vCPU (< kMaxVcpus): the exit that lies in kvm_run, with the registers there.
  Next Log(const kvm_run* run, size_t run_size, unsigned vcpu, uint64_t ns);

  // A message that the kernel has taken, with its answer. False, and the slot stays empty, if there is no memory.
  bool Sent(const kvm_msi& message, int delivered, uint64_t ns);

  // An exit that nobody could judge before counts for the goal after all. True if the run is over with it.
  bool Count(uint32_t slot);

  // The words, and part `index` of the slots, PartSize(index) of them: for JavaScript as long as this object lives. Null if
  // no slot of that part has been taken.
  std::atomic<uint32_t>* words() { return words_.data(); }
  LogRecord* part(size_t index) { return index < kParts ? parts_[index].load(std::memory_order_acquire) : nullptr; }
  static constexpr size_t PartSize(size_t index) { return kFirstPart << index; }

 private:
  static constexpr size_t kFirstPart = 1024;
  static constexpr size_t kParts = 23;

  std::atomic<uint32_t>& word(size_t index) { return words_[index]; }
  LogRecord* At(uint32_t slot);
  bool Matches(uint32_t reason, const uint8_t* payload, uint32_t value, bool is_word, unsigned vcpu) const;
  bool Reached(unsigned vcpu);

  std::array<std::atomic<uint32_t>, kWords> words_{};
  std::array<std::atomic<LogRecord*>, kParts> parts_{};

  std::bitset<256> reasons_;
  LogGoal goal_;
  LogPorts ports_;
  LogHalf half_;

  // An exit that counts for the goal takes its slot and counts in one, so that the order of both is the same.
  std::mutex mutex_;
};
