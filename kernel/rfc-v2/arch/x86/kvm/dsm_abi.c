// SPDX-License-Identifier: GPL-2.0
/*
 * The DSM interrupt forwarding with the numbers and layouts of other kernels
 * than the RFC series', and with what they do wrong besides, so that user space
 * which tells them apart can be tested. The parameter kvm.dsm_abi chooses one.
 *
 * "gvm-main", GiantVM's main branch: the ioctls of its shared memory are there
 * as well; a replay answers a value that nothing has set; KVM_DSM_APIC_BASE
 * hands the address of the value on, where the value is expected.
 *
 * "gvm-main-irq", the same with CONFIG_KVM_DSM_IRQ_FORWARD and without
 * CONFIG_KVM_DSM: the exits are made, and no ioctl is there.
 *
 * "gvm-old", what GiantVM's user space of 2025 speaks: exits 41 to 43, and no
 * dest_id in a write's notice or in its replay's argument.
 *
 * There is no shared memory here: its ioctls answer as they do before it is on.
 */
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "dsm_abi.h"

static const char * const names[] = {
	[DSM_ABI_RFC_V2] = "rfc-v2",
	[DSM_ABI_GVM_MAIN] = "gvm-main",
	[DSM_ABI_GVM_OLD] = "gvm-old",
	[DSM_ABI_GVM_MAIN_IRQ] = "gvm-main-irq",
};

unsigned int kvm_dsm_abi;

static int set_abi(const char *val, const struct kernel_param *kp)
{
	int abi = sysfs_match_string(names, val);

	if (abi < 0)
		return abi;

	WRITE_ONCE(kvm_dsm_abi, abi);
	return 0;
}

static int get_abi(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", names[READ_ONCE(kvm_dsm_abi)]);
}

static const struct kernel_param_ops abi_ops = {
	.set = set_abi,
	.get = get_abi,
};

module_param_cb(dsm_abi, &abi_ops, NULL, 0644);
MODULE_PARM_DESC(dsm_abi, "Whose numbers and layouts the DSM interrupt forwarding has: rfc-v2, gvm-main, gvm-main-irq or gvm-old");

unsigned int __kvm_dsm_abi_request(unsigned int ioctl)
{
	switch (ioctl) {
	case KVM_DSM_IPI_OLD:
		return KVM_DSM_IPI;
	case KVM_DSM_IPI:
		return 0;
	default:
		return ioctl;
	}
}

int __kvm_dsm_abi_ioctl(unsigned int ioctl, void __user *argp)
{
	char arg[32];

	switch (ioctl) {
	case KVM_DSM_ENABLE:
	case KVM_DSM_MEMCPY:
	case KVM_DSM_MEMPIN:
		if (copy_from_user(arg, argp, _IOC_SIZE(ioctl)))
			return -EFAULT;
		return -EINVAL;
	default:
		return -ENOTTY;
	}
}

/*
 * What a variable without a value may hold: something left over, or the pattern
 * of CONFIG_INIT_STACK_ALL_PATTERN, which is negative and no errno.
 */
int __kvm_dsm_abi_answer(void)
{
	static atomic_t answers;
	u32 n = atomic_inc_return(&answers);

	if (n & 1)
		return (n * 2654435761U >> 1) | 1;

	return 0xfefefefe;
}
