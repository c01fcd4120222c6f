// The queue of vCPUs that have news.
#include "news.h"

#include <algorithm>
#include <thread>

void NewsQueue::Reserve(size_t vcpus) {
  std::lock_guard<std::mutex> lock(mutex_);
  queue_.reserve(vcpus);
}

void NewsQueue::Post(std::shared_ptr<VcpuThread> thread) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closed_ || std::find(queue_.begin(), queue_.end(), thread) != queue_.end()) return;
    queue_.push_back(std::move(thread));
    has_news_ = true;
    if (called_) return;
    called_ = true;
    calling_.fetch_add(1);
  }
  // Without the lock: the thread that takes wakes here and wants it at once, and would sleep again for it.
  call_();
  calling_.fetch_sub(1);
}

bool NewsQueue::Expect() {
  expected_ns_ = MonotonicNs();
  return patience_.looks();
}

bool NewsQueue::Look() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // Whoever posts meanwhile need not call.
    called_ = true;
  }
  if (patience_.Look([this] { return has_news_.load(); })) {
    expected_ns_ = 0;
    return true;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  called_ = false;
  return has_news_;
}

// A vCPU that has news again meanwhile is for the next call: taking would never end.
size_t NewsQueue::Begin() {
  if (expected_ns_ != 0) patience_.Learn(MonotonicNs() - expected_ns_);
  expected_ns_ = 0;
  std::lock_guard<std::mutex> lock(mutex_);
  called_ = false;
  has_news_ = false;
  return queue_.size();
}

std::shared_ptr<VcpuThread> NewsQueue::Next() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (queue_.empty()) return nullptr;
  std::shared_ptr<VcpuThread> first = std::move(queue_.front());
  queue_.erase(queue_.begin());
  return first;
}

void NewsQueue::Forget(const VcpuThread* thread) {
  // Let go of without the lock: it may be the last to hold the thread, which joins it.
  std::shared_ptr<VcpuThread> dropped;
  std::lock_guard<std::mutex> lock(mutex_);
  auto same = [thread](const std::shared_ptr<VcpuThread>& posted) { return posted.get() == thread; };
  auto found = std::find_if(queue_.begin(), queue_.end(), same);
  if (found == queue_.end()) return;
  dropped = std::move(*found);
  queue_.erase(found);
}

void NewsQueue::Close() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    queue_.clear();
  }
  while (calling_.load() > 0) std::this_thread::yield();
}
