// What a System, a Vm and a Vcpu have in common: a file descriptor that takes ioctls.
#pragma once

#include <napi.h>

#include "desk.h"

// The file descriptor of a System, a Vm or a Vcpu, for calls that all of them take. Throws for anything else, and for a
// closed one.
int FdOf(const Napi::Value& handle);

// ioctl(request, argument) on `fd`, called from JavaScript as handle.ioctl(request, buffer | integer): the result, or
// the errno negated. What is not to reach the kernel (core/request.h) throws.
Napi::Value CheckedIoctl(const Napi::CallbackInfo& info, int fd);

// (request): the same with an argument that cannot be read.
Napi::Value CheckedUnreadable(const Napi::CallbackInfo& info, int fd);

// ioctl(request, what lies on the desk) on `fd`, whose number is the second argument: the result, or the errno
// negated. For requests that take as many bytes as their number says, and no more than the desk has. `asked`: the request that
// was found to be one last.
Napi::Value AskIoctl(const Napi::CallbackInfo& info, int fd, const Desk& desk, uint32_t& asked);
