// Waiting for file descriptors to become readable, on one thread for all of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "owned_fd.h"

// Each wait ends once: with 0 when its file is readable, -ETIME at its deadline, -ECANCELED, or the errno negated by which
// waiting itself has failed. epoll and not poll: that one takes no more files than RLIMIT_NOFILE at a time, however few are
// open, and would keep a file that is closed until it comes back.
class Waits {
 public:
  // Called on the thread, or within Cancel, with a lock held: it neither calls back nor throws.
  using Done = std::function<void(int result)>;

  // Throws std::system_error, whose what() begins with the call that failed.
  Waits();
  // End() comes before.
  ~Waits();
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  // 0, or the errno by which there is no wait: of epoll_ctl, or why the thread has ended. `done` is not called then.
  int Wait(std::shared_ptr<OwnedFd> fd, double seconds, Done done);
  // Ends every wait for the file: nothing here has it any more when this returns.
  void Cancel(const OwnedFd* fd);
  // Ends the thread. What still waits is dropped, and `done` not called.
  void End();

 private:
  using Clock = std::chrono::steady_clock;
  // The earliest first; the number tells those of one moment apart.
  using Key = std::pair<Clock::time_point, uint64_t>;
  struct File {
    std::shared_ptr<OwnedFd> fd;
    uint64_t number;  // epoll's: an event that comes late is for nobody
    std::set<Key> waits;
  };
  struct Waiter {
    const OwnedFd* fd;
    Done done;
  };

  void Main();
  void Loop();
  int Timeout() const;
  void FinishFile(const OwnedFd* fd, int result);
  void FinishLate();
  void Drop(const OwnedFd* fd);
  void Fail(int error);
  void Wake();

  OwnedFd epoll_;
  OwnedFd wake_;
  std::mutex mutex_;
  // Under the mutex.
  std::unordered_map<const OwnedFd*, File> files_;
  std::unordered_map<uint64_t, const OwnedFd*> numbers_;
  std::map<Key, Waiter> waits_;
  uint64_t next_ = 1;
  bool ended_ = false;
  int error_ = 0;
  std::thread thread_;
};
