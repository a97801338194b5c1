/* A V4L2 camera for tests: preloaded into a process, it answers the system calls on
 * the path V4L2_DEVICE, so that OpenCV's own V4L2 backend reads it. The device's file descriptor is a
 * timer, which poll and select wait for. It has MJPG (always the image V4L2_JPEG) and YUYV of 64x48
 * px at 30 Hz, exposure and gain. While there is no file of its path, the device is unplugged. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS 16
#define SIZE 65536
#define PERIOD_NS 33333333L

static int device = -1, order[BUFFERS], waiting;
static char *memory[BUFFERS];
static uint32_t format = V4L2_PIX_FMT_YUYV, frames;
static int32_t exposure = 156, gain = 64, automatic = 3;

static int is_unplugged(void) {
    return faccessat(AT_FDCWD, getenv("V4L2_DEVICE"), F_OK, 0);
}

static int is_device(const char *path) {
    const char *ours = getenv("V4L2_DEVICE");
    return ours && !strcmp(path, ours);
}

static int open_device(void) {
    if (is_unplugged()) { errno = ENOENT; return -1; }
    device = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    frames = 0; waiting = 0;
    return device;
}

int open(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest);
    if (!real) real = dlsym(RTLD_NEXT, "open");
    return is_device(path) ? open_device() : real(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest);
    if (!real) real = dlsym(RTLD_NEXT, "open64");
    return is_device(path) ? open_device() : real(path, flags, mode);
}

int close(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "close");
    if (fd == device) device = -1;
    return real(fd);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (!real) real = dlsym(RTLD_NEXT, "mmap");
    if (fd >= 0 && fd == device) {
        void *found = real(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memory[offset / SIZE] = found;
        return found;
    }
    return real(at, size, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    return mmap(at, size, protection, flags, fd, offset);
}

static void fill_format(struct v4l2_pix_format *pixels) {
    memset(pixels, 0, sizeof *pixels);
    pixels->width = 64; pixels->height = 48; pixels->pixelformat = format;
    pixels->field = V4L2_FIELD_NONE; pixels->sizeimage = SIZE;
    pixels->bytesperline = format == V4L2_PIX_FMT_YUYV ? 128 : 0;
}

static int32_t *control(uint32_t id) {
    if (id == V4L2_CID_EXPOSURE_ABSOLUTE) return &exposure;
    if (id == V4L2_CID_GAIN) return &gain;
    if (id == V4L2_CID_EXPOSURE_AUTO) return &automatic;
    return NULL;
}

static int dequeue(struct v4l2_buffer *buffer) {
    uint64_t periods;
    if (is_unplugged()) { errno = ENODEV; return -1; }
    if (!waiting || read(device, &periods, 8) != 8) { errno = EAGAIN; return -1; }
    int index = order[0];
    memmove(order, order + 1, sizeof order[0] * --waiting);
    frames += periods; /* a late reader has lost the frames in between */
    size_t used = 48 * 128;
    if (format == V4L2_PIX_FMT_YUYV) {
        memset(memory[index], 16 + 8 * (frames % 24), used);
    } else {
        int file = openat(AT_FDCWD, getenv("V4L2_JPEG"), O_RDONLY);
        used = read(file, memory[index], SIZE);
        close(file);
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    memset(buffer, 0, sizeof *buffer);
    buffer->index = index; buffer->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer->memory = V4L2_MEMORY_MMAP; buffer->bytesused = used; buffer->length = SIZE;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC; buffer->sequence = frames;
    long us = now.tv_nsec / 1000 - 5000; /* exposed 5 ms ago */
    if (getenv("V4L2_NO_STAMPS")) { now.tv_sec = 0; us = 0; }
    if (us < 0) { now.tv_sec -= 1; us += 1000000; }
    buffer->timestamp.tv_sec = now.tv_sec; buffer->timestamp.tv_usec = us;
    return 0;
}

int ioctl(int fd, unsigned long request, ...) {
    static int (*real)(int, unsigned long, ...);
    va_list rest; va_start(rest, request); void *argument = va_arg(rest, void *); va_end(rest);
    if (!real) real = dlsym(RTLD_NEXT, "ioctl");
    if (fd < 0 || fd != device) return real(fd, request, argument);
    request &= 0xffffffff;
    if (request == VIDIOC_QUERYCAP) {
        struct v4l2_capability *found = argument;
        memset(found, 0, sizeof *found);
        strcpy((char *)found->driver, "virtual"); strcpy((char *)found->card, "Virtual");
        found->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_DEVICE_CAPS;
        found->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    } else if (request == VIDIOC_ENUMINPUT) {
        struct v4l2_input *input = argument;
        if (input->index) { errno = EINVAL; return -1; }
        input->type = V4L2_INPUT_TYPE_CAMERA;
    } else if (request == VIDIOC_G_INPUT) {
        *(int *)argument = 0;
    } else if (request == VIDIOC_S_INPUT) {
    } else if (request == VIDIOC_ENUM_FMT) {
        struct v4l2_fmtdesc *description = argument;
        if (description->index > 1) { errno = EINVAL; return -1; }
        description->pixelformat = description->index ? V4L2_PIX_FMT_YUYV : V4L2_PIX_FMT_MJPEG;
    } else if (request == VIDIOC_G_FMT) {
        fill_format(&((struct v4l2_format *)argument)->fmt.pix);
    } else if (request == VIDIOC_S_FMT || request == VIDIOC_TRY_FMT) {
        struct v4l2_pix_format *pixels = &((struct v4l2_format *)argument)->fmt.pix;
        uint32_t wanted = pixels->pixelformat;
        if (wanted == V4L2_PIX_FMT_YUYV || wanted == V4L2_PIX_FMT_MJPEG) format = wanted;
        fill_format(pixels);
    } else if (request == VIDIOC_G_PARM || request == VIDIOC_S_PARM) {
        struct v4l2_captureparm *parameters = &((struct v4l2_streamparm *)argument)->parm.capture;
        memset(parameters, 0, sizeof *parameters);
        parameters->capability = V4L2_CAP_TIMEPERFRAME;
        parameters->timeperframe.numerator = 1; parameters->timeperframe.denominator = 30;
    } else if (request == VIDIOC_QUERYCTRL) {
        struct v4l2_queryctrl *query = argument;
        if (!control(query->id)) { errno = EINVAL; return -1; }
        query->type = V4L2_CTRL_TYPE_INTEGER; query->minimum = 0; query->maximum = 10000;
        query->step = 1; query->flags = 0;
    } else if (request == VIDIOC_G_CTRL) {
        struct v4l2_control *value = argument;
        if (!control(value->id)) { errno = EINVAL; return -1; }
        value->value = *control(value->id);
    } else if (request == VIDIOC_S_CTRL) {
        struct v4l2_control *value = argument;
        if (!control(value->id)) { errno = EINVAL; return -1; }
        *control(value->id) = value->value;
    } else if (request == VIDIOC_REQBUFS) {
        struct v4l2_requestbuffers *wanted = argument;
        if (wanted->count > BUFFERS) wanted->count = BUFFERS;
    } else if (request == VIDIOC_QUERYBUF) {
        struct v4l2_buffer *buffer = argument;
        buffer->length = SIZE; buffer->m.offset = buffer->index * SIZE;
    } else if (request == VIDIOC_QBUF) {
        order[waiting++] = ((struct v4l2_buffer *)argument)->index;
    } else if (request == VIDIOC_DQBUF) {
        return dequeue(argument);
    } else if (request == VIDIOC_STREAMON) {
        struct itimerspec every = {{0, PERIOD_NS}, {0, PERIOD_NS}};
        timerfd_settime(device, 0, &every, NULL);
    } else if (request == VIDIOC_STREAMOFF) {
        struct itimerspec never = {{0, 0}, {0, 0}};
        timerfd_settime(device, 0, &never, NULL);
        waiting = 0;
    } else {
        errno = ENOTTY;
        return -1;
    }
    return 0;
}
