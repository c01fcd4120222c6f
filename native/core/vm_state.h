// What a VM and each of its vCPUs hold together.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "mapped_range.h"
#include "owned_fd.h"

// As long as a vCPU can run, the memory of its VM's slots stays mapped, and the eventfds that KVM was given stay open.
struct VmState {
  VmState(OwnedFd vm, size_t kvm_run_size) : fd(std::move(vm)), run_size(kvm_run_size) {}

  struct Slot {
    std::shared_ptr<MappedRange> range;
    uint64_t bytes;
  };
  // An eventfd that KVM was given: an irqfd by its gsi, an ioeventfd by its address.
  struct Event {
    std::shared_ptr<OwnedFd> fd;
    std::shared_ptr<OwnedFd> resample;
    bool io;
    uint64_t place;
  };

  OwnedFd fd;
  size_t run_size;
  std::map<uint32_t, Slot> slots;
  std::vector<Event> events;
};
