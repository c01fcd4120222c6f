/** GSI routes as a union, and their place in struct kvm_irq_routing_entry. Source: include/uapi/linux/kvm.h. */
import {
  KVM_IRQ_ROUTING_HV_SINT,
  KVM_IRQ_ROUTING_IRQCHIP,
  KVM_IRQ_ROUTING_MSI,
  KVM_IRQCHIP_IOAPIC,
  KVM_IRQCHIP_PIC_MASTER,
  KVM_IRQCHIP_PIC_SLAVE,
  type KvmIrqRoutingEntry,
} from './irqchip.ts';

/** A message that is an interrupt: what a device writes, and to where. All 0..2^32-1. */
export interface MsiMessage {
  /** 0xfee00000 | destination id << 12 | destination mode << 2 | redirection hint << 3. */
  addressLo: number;
  /** Bits 31:8: bits 31:8 of a 32-bit destination id (KVM_CAP_X2APIC_API). Default 0. */
  addressHi?: number;
  /** vector | delivery mode << 8 | level << 14 | trigger << 15. */
  data: number;
}

/** Where a gsi leads. */
export type GsiRoute = IrqchipRoute | MsiRoute | HvSintRoute;

/** To a pin of the in-kernel irqchip: KVM_IRQ_ROUTING_IRQCHIP. */
export interface IrqchipRoute {
  /** Tells the kinds of routes apart. */
  type: 'irqchip';
  /** The number that KVM_IRQ_LINE and KVM_IRQFD name, from 0 on. */
  gsi: number;
  /** The chip that has the pin. */
  irqchip: IrqchipName;
  /** 0 to 7 of a PIC, 0 to 23 of the IOAPIC. */
  pin: number;
}

/** To a message, sent when the gsi rises: KVM_IRQ_ROUTING_MSI. */
export interface MsiRoute extends MsiMessage {
  /** Tells the kinds of routes apart. */
  type: 'msi';
  /** The number that KVM_IRQFD names, from 0 on. */
  gsi: number;
}

/** To a synthetic interrupt of Hyper-V: KVM_IRQ_ROUTING_HV_SINT. */
export interface HvSintRoute {
  /** Tells the kinds of routes apart. */
  type: 'hvSint';
  /** The number that KVM_IRQFD names, from 0 on. */
  gsi: number;
  /** The vcpu_id whose SynIC it is. */
  vcpu: number;
  /** 0 to 15. */
  sint: number;
}

/** kvm_irqchip.chip_id by name. */
export const irqchipIds = {
  picMaster: KVM_IRQCHIP_PIC_MASTER,
  picSlave: KVM_IRQCHIP_PIC_SLAVE,
  ioapic: KVM_IRQCHIP_IOAPIC,
} as const;
/** A chip of the in-kernel irqchip, as KVM_GET_IRQCHIP and the routes of gsis name it. */
export type IrqchipName = keyof typeof irqchipIds;

/** A route as KVM_SET_GSI_ROUTING takes it. */
export function routingEntry(route: GsiRoute): Partial<KvmIrqRoutingEntry> {
  switch (route.type) {
    case 'irqchip':
      return { gsi: route.gsi, type: KVM_IRQ_ROUTING_IRQCHIP, u: [irqchipIds[route.irqchip], route.pin] };
    case 'msi':
      return {
        gsi: route.gsi,
        type: KVM_IRQ_ROUTING_MSI,
        u: [route.addressLo, route.addressHi ?? 0, route.data],
      };
    case 'hvSint':
      return { gsi: route.gsi, type: KVM_IRQ_ROUTING_HV_SINT, u: [route.vcpu, route.sint] };
  }
}

/**
 * The routes that KVM_CREATE_IRQCHIP leaves: gsi 0..15 to the PICs and the IOAPIC, 16..23 to the IOAPIC.
 * Source: Documentation/virt/kvm/api.rst, KVM_CREATE_IRQCHIP.
 */
export function defaultGsiRouting(): GsiRoute[] {
  const routes: GsiRoute[] = [];
  for (let gsi = 0; gsi < 24; gsi++) {
    routes.push({ type: 'irqchip', gsi, irqchip: 'ioapic', pin: gsi });
    if (gsi < 16) routes.push({ type: 'irqchip', gsi, irqchip: gsi < 8 ? 'picMaster' : 'picSlave', pin: gsi % 8 });
  }
  return routes;
}
