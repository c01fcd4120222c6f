// The loop of a vCPU's thread, and what other threads ask of it.
#include "vcpu_thread.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "clock.h"
#include "signals.h"
#include "synced_regs.h"
#include "unanswered.h"

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void Count(std::atomic<uint64_t>& counter) { counter.store(counter.load(kRelaxed) + 1, kRelaxed); }

// A thread inherits its creator's mask: signals of the process are the other threads' business, faults and the
// profiler's are everyone's.
class ThreadSignals {
 public:
  ThreadSignals() {
    sigset_t mask;
    sigfillset(&mask);
    for (int ours : {RunSignal(), kSpareSignal, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, SIGPROF})
      sigdelset(&mask, ours);
    pthread_sigmask(SIG_SETMASK, &mask, &before_);
  }
  ~ThreadSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

std::shared_ptr<VcpuThread> VcpuThread::Start(Setup setup) {
  if (int error = InstallRunSignal()) throw std::system_error(error, std::generic_category(), "sigaction");
  std::shared_ptr<VcpuThread> self(new VcpuThread(std::move(setup)));
  ThreadSignals signals;
  self->thread_ = std::thread([self] { self->Main(); });
  return self;
}

VcpuThread::VcpuThread(Setup setup) : setup_(std::move(setup)) {}

VcpuThread::~VcpuThread() {
  // The thread holds this object until it has left Main: there is nothing to wait for, unless this is that thread.
  if (!thread_.joinable()) return;
  if (thread_.get_id() == std::this_thread::get_id())
    thread_.detach();
  else
    thread_.join();
}

VcpuThread::News VcpuThread::news() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return {phase_, error_, acked_.load(kRelaxed), held_, seq_, ns_};
}

// Sequentially consistent, as the requests' numbers are: the order in which one thread writes both is the order in which
// the other sees them.
void VcpuThread::SetImmediateExit(uint8_t value) {
  __atomic_store_n(&setup_.run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

void VcpuThread::Resume() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (phase_ == Phase::kRunning || phase_ == Phase::kEnded) return;
    pausing_ = false;
    // One that waits for room is the thread's to record: Stop may come before it has.
    if (phase_ != Phase::kRingFull) held_ = false;
    phase_ = Phase::kRunning;
  }
  // Without the lock: the thread that wakes wants it at once, and would sleep again for it.
  changed_.notify_all();
}

uint64_t VcpuThread::Kick() { return Ask(false); }
uint64_t VcpuThread::Pause() { return Ask(true); }

// Both halves are needed. immediate_exit alone does not reach a guest that is running or blocked in HLT; the signal
// alone is lost if it comes after the thread's last look and before KVM_RUN has begun. The number goes first, so that
// the thread, which clears immediate_exit and then looks at the number, cannot clear a request that it has not seen.
uint64_t VcpuThread::Ask(bool pause) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (phase_ != Phase::kRunning) return 0;
  if (pause) pausing_ = true;
  uint64_t number = asked_.fetch_add(1) + 1;
  SetImmediateExit(1);
  if (tid_ != 0) InterruptThread(tid_);
  return number;
}

void VcpuThread::Stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (phase_ == Phase::kEnded || stopping_) return;
  stopping_ = true;
  asked_.fetch_add(1);
  SetImmediateExit(1);
  if (phase_ == Phase::kRunning && tid_ != 0) InterruptThread(tid_);
  changed_.notify_all();
}

bool VcpuThread::Join(double seconds) {
  if (!thread_.joinable()) return true;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    auto limit = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
    if (!changed_.wait_for(lock, limit, [this] { return phase_ == Phase::kEnded; })) return false;
  }
  thread_.join();
  return true;
}

void VcpuThread::Main() {
  pthread_setname_np(pthread_self(), setup_.name);
  uint64_t valid_regs = setup_.run->kvm_valid_regs;
  if (setup_.plan.rip || setup_.log) setup_.run->kvm_valid_regs |= kSyncedRegs;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tid_ = static_cast<pid_t>(syscall(SYS_gettid));
  }
  Loop();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tid_ = 0;
    phase_ = Phase::kEnded;
    handled_ = asked_.load();
    acked_ = handled_;
    setup_.run->kvm_valid_regs = valid_regs;
    SetImmediateExit(0);
    setup_.keep.reset();
    changed_.notify_all();
  }
  setup_.notify(shared_from_this());
}

void VcpuThread::Loop() {
  const bool records = setup_.plan.ring != nullptr;
  // After an exit that was stored nobody has cleared a request: it is there still, if there is one.
  bool clear = true;
  // It was taken out between two instructions, to end: what KVM has still to tell of the first comes out before.
  bool settles = false;
  for (bool over = false; !over;) {
    if (clear) {
      SetImmediateExit(0);
      // A request that came meanwhile still goes through KVM_RUN: it completes the last exit, and no guest code runs.
      if (asked_.load() != handled_ && !settles) SetImmediateExit(1);
    }
    clear = true;
    Count(counters_.entries);
    int result = settles ? setup_.settle() : setup_.enter();
    over = settles;
    // A failure is the next run's to tell.
    if (over && result < 0) return;
    if (result == -EINTR) {
      if (!Attend()) settles = true;
    } else if (result == -EAGAIN) {
      Count(counters_.again);
    } else if (result < 0) {
      if (!Park(Phase::kFailed, -result)) return;
    } else {
      uint64_t seq = counters_.exits.load(kRelaxed);
      uint64_t ns = MonotonicNs();
      Count(counters_.exits);
      DefineUnanswered(setup_.run, setup_.run_size);
      TakenExit exit;
      if (ExitLog* log = setup_.log.get()) {
        switch (log->Log(setup_.run, setup_.run_size, setup_.id, ns)) {
          case ExitLog::Next::kGoesOn:
            Count(counters_.recorded);
            clear = false;
            continue;
          case ExitLog::Next::kNoMemory:
            if (!Park(Phase::kFailed, ENOMEM)) return;
            continue;
          case ExitLog::Next::kParks:
            Hold(seq, ns);
            if (!Park(Phase::kExit)) return;
            continue;
        }
      }
      if (records && Take(setup_.run, setup_.run_size, setup_.plan, exit)) {
        if (Record(exit, seq, ns))
          clear = false;
        else if (!RecordLater(exit, seq, ns))
          return;
      } else {
        Hold(seq, ns);
        if (!Park(Phase::kExit)) return;
      }
    }
  }
}

// The ring is full: waits until there is room. False if the vCPU is stopped before.
bool VcpuThread::RecordLater(const TakenExit& exit, uint64_t seq, uint64_t ns) {
  Hold(seq, ns);
  do {
    Count(counters_.ring_stops);
    if (!Park(Phase::kRingFull)) return false;
  } while (!Record(exit, seq, ns));
  std::lock_guard<std::mutex> lock(mutex_);
  held_ = false;
  return true;
}

// KVM_RUN was interrupted: by us, or by a signal that has nothing to do with the guest.
bool VcpuThread::Attend() {
  uint64_t asked = asked_.load();
  bool requested = asked != handled_;
  handled_ = asked;
  if (stopping_) return false;
  if (!requested) {
    Count(counters_.foreign);
    return true;
  }
  Count(counters_.kicks);
  if (pausing_) return Park(Phase::kPaused);
  acked_.store(asked);
  setup_.notify(shared_from_this());
  return true;
}

void VcpuThread::Hold(uint64_t seq, uint64_t ns) {
  std::lock_guard<std::mutex> lock(mutex_);
  held_ = true;
  seq_ = seq;
  ns_ = ns;
}

bool VcpuThread::Park(Phase phase, int error) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    phase_ = phase;
    error_ = error;
    // It is out of KVM_RUN: that is what every kick so far has asked for.
    handled_ = asked_.load();
    acked_ = handled_;
  }
  setup_.notify(shared_from_this());
  const auto goes_on = [this] { return phase_ == Phase::kRunning || stopping_; };
  const uint64_t begin = MonotonicNs();
  const bool is_there = patience_.Look(goes_on);
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, goes_on);
  if (!is_there) patience_.Learn(MonotonicNs() - begin);
  return !stopping_;
}

bool VcpuThread::Record(const TakenExit& exit, uint64_t seq, uint64_t ns) {
  const RecordPlan& plan = setup_.plan;
  if (!::Record(setup_.run, exit, plan, seq, ns)) return false;
  Count(counters_.recorded);
  if (plan.ring->Waiting() == plan.watermark) setup_.notify(shared_from_this());
  return true;
}
