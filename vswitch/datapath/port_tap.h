/* port_tap.h - what port_tap.c gives the loop. */
#ifndef VSW_PORT_TAP_H
#define VSW_PORT_TAP_H

#include "datapath/port.h"

extern const struct vsw_port_ops vsw_port_tap_ops;

#endif
