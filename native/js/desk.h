// What JavaScript and a handle hand each other without arguments, and how a function finds a handle without a look at `this`: a
// call so made costs little more than the system call in it.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

// Memory that a handle's JavaScript and its C++ both reach. Numbers at its begin, then the argument of an ioctl.
class Desk {
 public:
  // In doubles.
  enum Number : size_t { kStampNs, kSeconds, kEndsNs, kAgain, kNumbers = 8 };
  static constexpr size_t kArgumentRoom = 1024;

  double& number(Number which) const { return memory_->numbers[which]; }
  uint8_t* argument() const { return memory_->argument; }

  // The one buffer over it, which may outlive the handle.
  Napi::Value Buffer(Napi::Env env);

 private:
  struct Memory {
    double numbers[kNumbers] = {};
    uint8_t argument[kArgumentRoom] = {};
  };
  std::shared_ptr<Memory> memory_ = std::make_shared<Memory>();
  Napi::Reference<Napi::ArrayBuffer> buffer_;
};

// The objects of a class in an environment, by numbers that are never given twice.
template <typename T>
class Numbered {
 public:
  uint32_t Add(T* object) {
    objects_.emplace(++last_, object);
    return last_;
  }
  void Remove(uint32_t number) {
    objects_.erase(number);
    recent_ = {};
  }
  // Null if there is none, or no more.
  T* Find(uint32_t number) {
    if (number == recent_.number) return recent_.object;
    auto found = objects_.find(number);
    if (found == objects_.end()) return nullptr;
    recent_ = {number, found->second};
    return found->second;
  }

 private:
  struct Recent {
    uint32_t number = 0;
    T* object = nullptr;
  };
  std::unordered_map<uint32_t, T*> objects_;
  uint32_t last_ = 0;
  Recent recent_;
};
