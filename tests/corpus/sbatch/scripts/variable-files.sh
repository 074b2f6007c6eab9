#!/bin/bash
srun ./program
