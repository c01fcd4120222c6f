// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_DEV_VFIO_DEVICE: forward a physical IRQ of a VFIO device to a virtual
 * machine. An extension that is no part of the DSM series; it is there for the
 * VFIO devices of KVM that are created while kvm.dsm_vfio is on, which it is not
 * by default.
 *
 * The contract is the one of the patches that proposed the group for arm: whether
 * an IRQ is forwarded changes only while VFIO signals it to nobody, else -EBUSY.
 *
 * There a guest that completes its virtual interrupt completes the physical one
 * by itself, since the interrupt controller ties the two together. None on x86
 * does. In its stead KVM completes the physical IRQ when the guest's EOI of the
 * GSI reaches it: VFIO unmasks an INTx that had masked itself, as it would for an
 * unmask by user space, which need not take part. An MSI is complete when it has
 * been sent, so that to forward one is to keep its state and no more.
 */
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>

#include "dsm_fault.h"
#include "dsm_vfio.h"

static bool dsm_vfio;
module_param(dsm_vfio, bool, 0644);
MODULE_PARM_DESC(dsm_vfio, "Let VFIO devices of KVM forward IRQs");

struct forward {
	struct list_head node;
	struct kvm *kvm;
	struct file *file;		/* holds the device open */
	struct vfio_device *device;
	u32 index;
	u32 subindex;
	struct kvm_irq_ack_notifier notifier;
	struct work_struct completion;
};

/* Of all virtual machines: an IRQ is forwarded to one of them at most. */
static LIST_HEAD(forwards);
static DEFINE_MUTEX(forwards_lock);

bool kvm_dsm_vfio_wanted(void)
{
	return READ_ONCE(dsm_vfio);
}

int kvm_dsm_vfio_has(u64 attr)
{
	switch (attr) {
	case KVM_DEV_VFIO_DEVICE_FORWARD_IRQ:
	case KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ:
		return 0;
	default:
		return -ENXIO;
	}
}

/* VFIO may be a module, and then KVM does without it. */
static struct vfio_device *device_of(struct file *file)
{
	struct vfio_device *(*fn)(struct file *file);
	struct vfio_device *device;

	fn = symbol_get(vfio_file_open_device);
	if (!fn)
		return NULL;

	device = fn(file);
	symbol_put(vfio_file_open_device);
	return device;
}

static void complete_irq(struct work_struct *work)
{
	struct forward *fwd = container_of(work, struct forward, completion);

	fwd->device->ops->irq_complete(fwd->device, fwd->index, fwd->subindex);
}

/* In the middle of the guest's EOI, where VFIO's locks must not be waited for */
static void irq_acked(struct kvm_irq_ack_notifier *notifier)
{
	struct forward *fwd = container_of(notifier, struct forward, notifier);

	if (!kvm_dsm_fault_incomplete())
		queue_work(system_highpri_wq, &fwd->completion);
}

static struct forward *find(struct vfio_device *device, u32 index, u32 subindex)
{
	struct forward *fwd;

	list_for_each_entry(fwd, &forwards, node) {
		if (fwd->device == device && fwd->index == index &&
		    fwd->subindex == subindex)
			return fwd;
	}
	return NULL;
}

static int forward(struct kvm *kvm, struct file *file,
		   struct vfio_device *device,
		   const struct kvm_arch_forwarded_irq *irq)
{
	struct forward *fwd;

	if (irq->gsi >= KVM_MAX_IRQ_ROUTES)
		return -EINVAL;

	if (find(device, irq->index, irq->subindex))
		return -EEXIST;

	fwd = kzalloc(sizeof(*fwd), GFP_KERNEL_ACCOUNT);
	if (!fwd)
		return -ENOMEM;

	fwd->kvm = kvm;
	fwd->file = get_file(file);
	fwd->device = device;
	fwd->index = irq->index;
	fwd->subindex = irq->subindex;
	INIT_WORK(&fwd->completion, complete_irq);
	fwd->notifier.gsi = irq->gsi;
	fwd->notifier.irq_acked = irq_acked;
	list_add_tail(&fwd->node, &forwards);
	kvm_register_irq_ack_notifier(kvm, &fwd->notifier);
	return 0;
}

static void drop(struct forward *fwd)
{
	kvm_unregister_irq_ack_notifier(fwd->kvm, &fwd->notifier);
	cancel_work_sync(&fwd->completion);
	list_del(&fwd->node);
	fput(fwd->file);
	kfree(fwd);
}

static int unforward(struct kvm *kvm, struct vfio_device *device,
		     const struct kvm_arch_forwarded_irq *irq)
{
	struct forward *fwd = find(device, irq->index, irq->subindex);

	if (!fwd || fwd->kvm != kvm || fwd->notifier.gsi != irq->gsi)
		return -ENOENT;

	drop(fwd);
	return 0;
}

static int set_locked(struct kvm *kvm, u64 attr, struct file *file,
		      const struct kvm_arch_forwarded_irq *irq)
{
	struct vfio_device *device = device_of(file);
	int signaled;

	if (!device || !device->ops->irq_signaled || !device->ops->irq_complete)
		return -EINVAL;

	/*
	 * Signalling that is set from here on was set after the state had
	 * changed, which is how it should be.
	 */
	signaled = device->ops->irq_signaled(device, irq->index, irq->subindex);
	if (signaled < 0)
		return signaled;
	if (signaled && !kvm_dsm_fault_signaled())
		return -EBUSY;

	if (attr == KVM_DEV_VFIO_DEVICE_FORWARD_IRQ)
		return forward(kvm, file, device, irq);
	return unforward(kvm, device, irq);
}

int kvm_dsm_vfio_set(struct kvm *kvm, u64 attr, void __user *arg)
{
	struct kvm_arch_forwarded_irq irq;
	struct file *file;
	int r = kvm_dsm_vfio_has(attr);

	if (r)
		return r;

	if (copy_from_user(&irq, arg, sizeof(irq)))
		return -EFAULT;

	file = fget(irq.fd);
	if (!file)
		return -EBADF;

	mutex_lock(&forwards_lock);
	r = set_locked(kvm, attr, file, &irq);
	mutex_unlock(&forwards_lock);
	fput(file);
	return r;
}

/* The VFIO device of @kvm goes, and what it forwards with it. */
void kvm_dsm_vfio_release(struct kvm *kvm)
{
	struct forward *fwd, *next;

	mutex_lock(&forwards_lock);
	list_for_each_entry_safe(fwd, next, &forwards, node) {
		if (fwd->kvm == kvm)
			drop(fwd);
	}
	mutex_unlock(&forwards_lock);
}
