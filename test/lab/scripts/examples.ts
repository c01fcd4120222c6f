// Every example, one behind the other, in one machine of the lab. Each asserts what it shows.
console.error('first-ipi');
await import('../../../examples/first-ipi.ts');
console.error('init-sipi-sipi');
await import('../../../examples/init-sipi-sipi.ts');
console.error('ping-pong');
await import('../../../examples/ping-pong.ts');
console.error('nmi');
await import('../../../examples/nmi.ts');
console.error('logical');
await import('../../../examples/logical.ts');
console.error('broadcast');
await import('../../../examples/broadcast.ts');
console.error('x2apic-icr');
await import('../../../examples/x2apic-icr.ts');
console.error('storm');
await import('../../../examples/storm.ts');
console.error('examples: all');
