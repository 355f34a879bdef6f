#include "tests/app/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

run program_run(const char *in, const char *repository, const char *arguments, const char *redirect)
{
    run r = {0};
    dr_buf command = {0};
    char part[4096];
    size_t n;

    if (in)
        dr_buf_printf(&command, "cd '%s' && ", in);
    dr_buf_str(&command, DR_PROGRAM " ");
    for (const char *a = arguments; *a; a++) {
        if (a[0] == '%' && a[1] == 'R') {
            dr_buf_str(&command, repository);
            a++;
        } else
            dr_buf_add(&command, a, 1);
    }
    dr_buf_printf(&command, " %s </dev/null", redirect);
    FILE *f = popen(command.data, "r");
    assert_non_null(f);
    while ((n = fread(part, 1, sizeof part, f)) > 0)
        dr_buf_add(&r.out, part, n);
    const int status = pclose(f);
    r.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    dr_buf_str(&r.out, "");
    dr_buf_free(&command);
    return r;
}
