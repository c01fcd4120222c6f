// The vCPUs that have news, on their way from their threads to the one that takes them.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "patience.h"

class VcpuThread;

// A vCPU stands in the queue once, however much it has to say: what that is is looked up when it is its turn. Whoever takes
// is called once for all that have news at that moment.
class NewsQueue {
 public:
  // `call` makes Begin() happen some time soon, on the thread that takes. It neither waits nor throws.
  explicit NewsQueue(std::function<void()> call) : call_(std::move(call)) {}

  // The thread that takes: how many vCPUs there may be, so that no vCPU's thread has to find memory. May throw.
  void Reserve(size_t vcpus);
  // Any thread: this vCPU has news.
  void Post(std::shared_ptr<VcpuThread> thread);
  // The thread that takes: news may come soon. True if it is worth a Look() as soon as it has nothing else to do.
  bool Expect();
  // The thread that takes: looks for news a moment. False if none came; they are called for then.
  bool Look();
  // The thread that takes: how many have news; the first of them, null if there is none; and that one is of no interest.
  size_t Begin();
  std::shared_ptr<VcpuThread> Next();
  void Forget(const VcpuThread* thread);
  // Whatever is posted from now on is dropped, and `call` not called: none is under way when this returns.
  void Close();

 private:
  std::function<void()> call_;
  // Calls under way.
  std::atomic<int> calling_{0};
  std::atomic<bool> has_news_{false};
  std::mutex mutex_;
  // Under the mutex.
  bool closed_ = false;
  bool called_ = false;
  std::vector<std::shared_ptr<VcpuThread>> queue_;
  // The thread's that takes. Since when it expects news and has not found them by a look; 0 if it does not.
  uint64_t expected_ns_ = 0;
  Patience patience_;
};
