/** Claims that several faults break, as globs of ids. */

/** That each write comes out, and once: all of `once` but what local APICs do. */
export const ONCE = [
  'once.first',
  'once.one.*',
  'once.burst.*',
  'once.same.*',
  'once.loop',
  'once.single-step',
  'once.resume.*',
  'once.both.pushad',
  'once.both.rep-*',
  'once.both.again',
  'once.within.*',
  'once.interrupted.*',
  'once.finished.*',
  'once.pending.*',
  'once.kicks.*',
  'once.race.*',
  'once.storm.*',
  'once.nodes.hashed.*',
  'matrix.*',
  'long.*',
];

/** That a replay leaves what the guest's own write leaves, which is what it is compared with. */
export const TWINS = ['injection.twin.*', 'injection.states.*'];

/** What val2 says. */
export const VALUES = [
  'payload.icr.vector',
  'payload.icr.delivery-mode.*',
  'payload.icr.destination-mode',
  'payload.icr.level',
  'payload.icr.trigger',
  'payload.icr.shorthand.*',
  'payload.icr.fields',
  'payload.icr.reserved',
  'payload.icr.delivery-status',
  'payload.icr2.value',
  'payload.icr2.reserved',
  'state.pending.value',
  'once.nodes.hashed.*',
];

/** Claims about the exits of plain writes of vCPU 0, on the full irqchip. */
export const PLAIN = ['payload.*', 'order.*', ...ONCE, 'state.*', 'bypass.instruction.*'];

/** Without exits none of these holds. */
export const EXITS = [
  ...PLAIN,
  'source.id.*',
  'source.every-vcpu',
  'modes.*.forwards',
  'modes.base.one-vcpu',
  'transparency.exit.*',
  'capability.forwarding.*',
];

/** That an IPI is delivered in this kernel. */
export const DELIVERY = [
  'stock.*',
  'transparency.delivery.*',
  'transparency.tpr.*',
  'transparency.eoi.*',
  'once.delivery.*',
  'once.both.delivered',
  'once.nodes.hashed.*',
  'state.pending.init',
  'modes.*.delivers',
  'modes.software-disabled.sends',
  'modes.software-disabled.takes-nmi',
  'modes.hardware-disabled.refuses',
  'source.delivery.*',
  'matrix.*',
  'long.*',
];
