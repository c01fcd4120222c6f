#pragma once

#include <napi.h>

// The file descriptor of a System, a Vm or a Vcpu, for calls that all of them take. Throws for anything else, and for a
// closed one.
int FdOf(const Napi::Value& handle);
