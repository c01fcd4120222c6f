/** A part of a transport's subjects: who closes it leaves the transport as it is. */
import type { Transport } from '../transport.ts';

export function under(transport: Transport, prefix: string): Transport {
  return {
    publish: (subject, message) => transport.publish(`${prefix}.${subject}`, message),
    subscribe: (subject, take) => transport.subscribe(`${prefix}.${subject}`, take),
    close: async () => {},
  };
}
