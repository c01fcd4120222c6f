// A vCPU on a thread of its own.
#pragma once

#include <linux/kvm.h>
#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "exit_log.h"
#include "patience.h"
#include "record.h"

// Where a vCPU's thread is. From kExit on it is out of KVM_RUN and stays out until Resume() or Stop().
enum class Phase : int {
  kRunning = 0,
  kExit = 1,      // kvm_run holds an exit
  kPaused = 2,    // as Pause() asked, with no exit to look at
  kRingFull = 3,  // kvm_run holds an exit that waits for room in the ring
  kFailed = 4,    // KVM_RUN answered an errno that is neither EINTR nor EAGAIN
  kEnded = 5,     // the thread has left its loop
};

// What happened to a vCPU since its thread started. Only the thread writes it.
struct ThreadCounters {
  std::atomic<uint64_t> entries{0};      // KVM_RUNs
  std::atomic<uint64_t> exits{0};        // of them, ended by an exit
  std::atomic<uint64_t> recorded{0};     // of these, put into the ring, or into the log for nobody to look at
  std::atomic<uint64_t> kicks{0};        // times that a kick or pause was noticed
  std::atomic<uint64_t> foreign{0};      // EINTR that nobody here asked for
  std::atomic<uint64_t> again{0};        // EAGAIN: INIT or SIPI taken
  std::atomic<uint64_t> ring_stops{0};   // times that a full ring stopped the vCPU
};

// How long close(), the garbage collector and the end of an environment wait for a vCPU's thread, in seconds. The thread of
// a working kernel ends in microseconds; many of them on few CPUs take turns.
constexpr double kJoinSeconds = 5;

// A vCPU that runs on a thread of its own. The thread waits after each exit, so that kvm_run can be read and answered,
// until it is told to go on. Every method but Start may be called from any thread; Resume and the consumer's side of
// the ring belong to one.
class VcpuThread : public std::enable_shared_from_this<VcpuThread> {
 public:
  struct Setup {
    kvm_run* run = nullptr;
    size_t run_size = 0;
    std::function<int()> enter;                                 // one KVM_RUN: 0, or the errno negated
    std::function<int()> settle;                                // SettleVcpu: 0 if there was an exit left to tell of
    std::function<void(std::shared_ptr<VcpuThread>)> notify;    // called on the thread when there is news
    std::shared_ptr<void> keep;                                 // what has to live until the thread has ended
    RecordPlan plan;
    std::shared_ptr<ExitLog> log;  // where the exits go instead, if there is one
    unsigned id = 0;               // vcpu_id
    char name[16] = "vcpu";
  };
  struct News {
    Phase phase;
    int error;       // kFailed: the errno
    uint64_t acked;  // the highest number from Kick() and Pause() since which it has been out of KVM_RUN
    bool held;       // kvm_run holds an exit that is neither recorded nor answered; also at kEnded, if Stop met it
    uint64_t seq;    // of that exit, from 0
    uint64_t ns;     // when it came, CLOCK_MONOTONIC
  };

  // Starts the thread and enters the guest at once. Throws std::system_error.
  static std::shared_ptr<VcpuThread> Start(Setup setup);
  ~VcpuThread();
  VcpuThread(const VcpuThread&) = delete;
  VcpuThread& operator=(const VcpuThread&) = delete;

  News news() const;
  const ThreadCounters& counters() const { return counters_; }

  // Enters the guest again, if the vCPU is out of it. What an exit asked for is to be in kvm_run by now.
  void Resume();
  // Takes the vCPU out of KVM_RUN once. News with `acked` >= the result tell that it has been out; 0: it is out now.
  uint64_t Kick();
  // As Kick, and it stays out: by kPaused, unless an exit came first.
  uint64_t Pause();
  // Asks the thread to end. From KVM_RUN it ends with the last exit completed, and with an exit that KVM had still to tell
  // of; an exit that is held stays as it is.
  void Stop();
  // Waits for the end that Stop asked for. False if it does not come in time; a thread that nobody waits for any more
  // keeps what it needs until it ends.
  bool Join(double seconds);

 private:
  explicit VcpuThread(Setup setup);
  void Main();
  void Loop();
  bool Attend();
  bool Park(Phase phase, int error = 0);
  bool Record(const TakenExit& exit, uint64_t seq, uint64_t ns);
  bool RecordLater(const TakenExit& exit, uint64_t seq, uint64_t ns);
  void Hold(uint64_t seq, uint64_t ns);
  uint64_t Ask(bool pause);
  void SetImmediateExit(uint8_t value);

  Setup setup_;
  std::thread thread_;
  ThreadCounters counters_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Written under the mutex. tid_ is 0 before and after the thread's loop: no signal goes to an id that may be somebody else's.
  std::atomic<Phase> phase_{Phase::kRunning};
  int error_ = 0;
  bool held_ = false;
  uint64_t seq_ = 0;
  uint64_t ns_ = 0;
  pid_t tid_ = 0;

  // Requests are numbered. The thread has handled all of them when asked_ == handled_ (which is its own).
  std::atomic<uint64_t> asked_{0};
  std::atomic<uint64_t> acked_{0};
  std::atomic<bool> pausing_{false};
  std::atomic<bool> stopping_{false};
  uint64_t handled_ = 0;
  // For the answer to an exit.
  Patience patience_;
};
