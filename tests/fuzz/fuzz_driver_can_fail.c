/* Reads one byte too far when its input starts with '!': the driver has to find such an input and the sanitizer has to stop it. */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    volatile uint8_t last = 0;
    if (n > 0 && data[0] == '!')
        last = data[n];
    (void)last;
    return 0;
}
