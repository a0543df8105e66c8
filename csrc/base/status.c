#include "skxmr.h"

const char *skx_status_name(int status)
{
    switch (status) {
    case SKX_OK: return "SKX_OK";
    case SKX_ENOMEM: return "SKX_ENOMEM";
    case SKX_EARG: return "SKX_EARG";
    case SKX_EISA: return "SKX_EISA";
    case SKX_EPOINTER: return "SKX_EPOINTER";
    case SKX_EINDEX: return "SKX_EINDEX";
    case SKX_EORDER: return "SKX_EORDER";
    case SKX_EFINITE: return "SKX_EFINITE";
    case SKX_ECAPACITY: return "SKX_ECAPACITY";
    case SKX_EMODEL: return "SKX_EMODEL";
    case SKX_ECANCELLED: return "SKX_ECANCELLED";
    default: return "unknown";
    }
}
