// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Firmware for the BBC micro:bit (nRF51822): prints its revision on the serial
// line and sleeps. No library, no interrupts.

#include <stdint.h>

#ifndef REVISION
#error "REVISION is not set: the platform gives it to the builder"
#endif

#define UART(offset) (*(volatile uint32_t *)(0x40002000u + (offset)))
#define UART_STARTTX UART(0x008)
#define UART_TXDRDY  UART(0x11c)
#define UART_ENABLE  UART(0x500)
#define UART_PSELTXD UART(0x50c)
#define UART_TXD     UART(0x51c)
#define UART_BAUD    UART(0x524)

static void print(const char *s) {
	for (; *s; s++) {
		UART_TXDRDY = 0;
		UART_TXD = (uint32_t)*s;
		while (!UART_TXDRDY) {
		}
	}
}

void reset(void) {
	UART_PSELTXD = 24;
	UART_BAUD = 0x01d7e000; // 115200
	UART_ENABLE = 4;
	UART_STARTTX = 1;
	print(REVISION "\n");
	for (;;) {
		__asm__ volatile("wfi");
	}
}

extern uint32_t stack_top;

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {&stack_top, (void *)reset, (void *)reset, (void *)reset};
