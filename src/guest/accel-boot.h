/* A guest of one boot sector that uses what guests need and acceleration that is broken breaks on:
 * 64 bit mode with paging, CPUID, model specific registers, SSE, and a timer interrupt that wakes
 * HLT. Then it writes ACCEL_BOOT_WORD to COM1 and stops.
 */
#ifndef GUEST_ACCEL_BOOT_H
#define GUEST_ACCEL_BOOT_H

#define ACCEL_BOOT_BYTES 512
#define ACCEL_BOOT_WORD "vmferry-accel-works"

extern const unsigned char accel_boot_sector[ACCEL_BOOT_BYTES];

#endif
