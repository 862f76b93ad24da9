/**
 * Frees the memory under `bytes`, which nobody may use any more, unless it is shared. The garbage collector looks at
 * large buffers only once there are 64 MiB of them, so those that are needed for milliseconds are freed by hand.
 */
export function letGo(bytes: Uint8Array): void {
  const { buffer } = bytes;
  // Up to the size of the pool, `bytes` may be a part of memory that other Buffers are parts of too.
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize && !buffer.detached) {
    buffer.transfer(0);
  }
}
