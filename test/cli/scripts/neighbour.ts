export const port = 0x42;
