// The ring of records between a vCPU's thread and JavaScript.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

// What precedes a record's bytes. lib/kvm/vcpu/run/records.ts reads the same layout.
struct RecordHeader {
  uint64_t seq;       // which exit of this run of the vCPU, from 0; parked exits are counted too
  uint64_t ns;        // CLOCK_MONOTONIC
  uint64_t rip;       // if flags has kRecordRip
  uint32_t reason;    // kvm_run.exit_reason
  uint16_t flags;
  uint16_t io_bytes;  // how many bytes of KVM_EXIT_IO data follow the union
};
static_assert(sizeof(RecordHeader) == 32, "lib/kvm/vcpu/run/records.ts reads 32 bytes");

constexpr uint16_t kRecordRip = 1;

// Records of one size from one producer (the vCPU's thread) to one consumer (the JavaScript thread). It never drops: a
// producer that finds no free slot has to wait. The memory belongs to somebody else, so that JavaScript can see it.
class RecordRing {
 public:
  // Capacity is a power of two.
  RecordRing(uint8_t* memory, size_t capacity, size_t record_size)
      : memory_(memory), capacity_(capacity), record_size_(record_size) {}

  // Producer: the next free slot, or null if the ring is full; then Publish makes it the consumer's.
  uint8_t* Reserve() {
    uint64_t head = head_.load(std::memory_order_relaxed);
    // The consumer's line is looked at again only when there seems to be no room.
    if (head - known_tail_ == capacity_) {
      known_tail_ = tail_.load(std::memory_order_acquire);
      if (head - known_tail_ == capacity_) return nullptr;
    }
    return memory_ + (head & (capacity_ - 1)) * record_size_;
  }
  void Publish() { head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  // Either side: how many records wait.
  size_t Waiting() const {
    uint64_t tail = tail_.load(std::memory_order_acquire);
    return static_cast<size_t>(head_.load(std::memory_order_acquire) - tail);
  }

  // Consumer: how many records lie in one piece from Start() on, and giving the first `count` of them back.
  size_t Ready() const {
    size_t waiting = Waiting();
    size_t to_end = capacity_ - Start();
    return waiting < to_end ? waiting : to_end;
  }
  size_t Start() const { return tail_.load(std::memory_order_relaxed) & (capacity_ - 1); }
  void Consume(size_t count) {
    tail_.store(tail_.load(std::memory_order_relaxed) + count, std::memory_order_release);
  }

 private:
  uint8_t* memory_;
  size_t capacity_;
  size_t record_size_;
  // A cache line each: the two sides do not slow each other down.
  alignas(64) std::atomic<uint64_t> head_{0};
  uint64_t known_tail_ = 0;  // the producer's
  alignas(64) std::atomic<uint64_t> tail_{0};
};
