// What the guest gets for a read that nobody answers.
#pragma once

#include <linux/kvm.h>

#include <cstddef>

// Puts all ones where the answer of the `in` or the MMIO read goes that lies in kvm_run, as a PC's bus gives them where no
// device is: KVM leaves the bytes of the transaction before it there. Other exits stay as they are. Call it right after
// KVM_RUN, before anybody may have answered.
void DefineUnanswered(kvm_run* run, size_t run_size);
